/**
 * Runs the policy: the agent's own model reads the session's context, tends memory and context through the six tools,
 * and answers. One run of a session at a time. What a run did stands in the trajectory, however it ended: each turn is
 * recorded before the next begins.
 */
import type { Database } from '../../ports/database.ts'
import type { LanguageModel } from '../../ports/language-model.ts'
import type { Tokenizer } from '../../ports/tokenizer.ts'
import type { Caller } from '../../shared/caller.ts'
import type { CreateId } from '../../shared/ids.ts'
import type { ContextService } from '../context/context.service.ts'
import type { Idempotency, Store } from '../idempotency/idempotency.service.ts'
import type { ModelTokens } from '../tenant/model-tokens.ts'
import type { ToolService } from '../tool/tool.service.ts'
import { findToolKey } from '../tool/tool-definitions.ts'
import { createPromptFitter } from './fit-prompt.ts'
import { inferenceNotConfigured, toolNameTaken } from './policy.errors.ts'
import { type Progress, resultOf } from './run-result.ts'
import { type FinishReason, startRun } from './run-state.ts'
import type { EmitEvent, RunRequest, RunResult } from './run-types.ts'
import { withSessionLease } from './session-lease.ts'
import { createTurn, type Run } from './take-turn.ts'

export type PolicyServiceOptions = {
  readonly database: Database
  readonly idempotency: Idempotency
  readonly contexts: ContextService
  readonly tools: ToolService
  readonly tokenizer: Tokenizer
  /** Null: none is configured. */
  readonly model: LanguageModel | null
  readonly modelTokens: ModelTokens
  readonly createId: CreateId
}

export type PolicyService = ReturnType<typeof createPolicyService>

const ensureNamesFree = ({ clientTools }: RunRequest): void => {
  const taken = clientTools.find((tool) => findToolKey(tool.function.name) !== null)
  if (taken !== undefined) throw toolNameTaken(taken.function.name)
}

/** The input is appended once for a key, whatever becomes of the run. No client can send a key with a blank. */
const inputCallerOf = (caller: Caller): Caller => {
  const { idempotency: claim } = caller
  return { ...caller, idempotency: claim === null ? null : { ...claim, key: `input of ${claim.key}` } }
}

/** The caller for what is done also when nobody waits for it any more. */
const stayingOf = (caller: Caller): Caller => ({ ...caller, signal: new AbortController().signal })

const isTimeout = (reason: unknown): boolean => reason instanceof Error && reason.name === 'TimeoutError'

export const createPolicyService = (options: PolicyServiceOptions) => {
  const { database, idempotency, contexts, tools, model, modelTokens, createId } = options
  const takeTurn =
    model === null
      ? null
      : createTurn({
          model,
          tools,
          fitPrompt: createPromptFitter({ ...options, model }),
          createId,
        })

  /** Turn after turn until the run is finished; what has been done is in `progress` at every moment. */
  const takeTurns = async (caller: Caller, run: Run, progress: Progress): Promise<FinishReason> => {
    if (takeTurn === null) throw inferenceNotConfigured()
    let state = startRun(run.request)
    for (;;) {
      caller.signal.throwIfAborted()
      await caller.ensureLive?.()
      progress.last = await takeTurn(caller, run, state)
      progress.steps.push(progress.last.step)
      const { decision } = progress.last
      if (decision.kind === 'finish') return decision.reason
      state = decision.state
    }
  }

  /** How a run ends that its deadline or its client's leaving cut short; any other failure is thrown. */
  const untilCutShort = async (
    work: Promise<FinishReason>,
    { client, deadline }: { readonly client: AbortSignal; readonly deadline: AbortSignal },
  ): Promise<FinishReason> => {
    try {
      return await work
    } catch (error) {
      if (client.aborted) return isTimeout(client.reason) ? 'deadline' : 'cancelled'
      if (deadline.aborted) return 'deadline'
      throw error
    }
  }

  const appendInput = async (caller: Caller, { sessionId, input }: RunRequest): Promise<void> => {
    const messages = typeof input === 'function' ? await input(caller) : input
    if (messages.length > 0) await contexts.append(inputCallerOf(caller), { sessionId, messages, expected: null })
  }

  const runLeased = async (
    caller: Caller,
    run: Run,
    progress: Progress = { steps: [], last: null },
  ): Promise<RunResult> => {
    const { request, runId, emit } = run
    const deadline = AbortSignal.timeout(request.deadlineMs)
    const working: Caller = { ...caller, signal: AbortSignal.any([caller.signal, deadline]) }
    await appendInput(working, request)
    const turns = takeTurns({ ...working, idempotency: null }, run, progress)
    const finishReason = await untilCutShort(turns, { client: caller.signal, deadline })
    const context =
      progress.last?.step.context ?? (await contexts.readSession(stayingOf(caller), request.sessionId)).context
    const result = resultOf(runId, progress, { finishReason, context })
    if (result.answer !== null) await emit?.({ type: 'answer', answer: result.answer })
    return result
  }

  /**
   * A run whose answer is stored in the unit of work that its last turn is whole with. One that was cut short stores
   * nothing: sent again, it goes on from what it has done.
   */
  const runStoring = (caller: Caller, run: Run, store: Store<RunResult>): Promise<RunResult> => {
    const progress: Progress = { steps: [], last: null }
    const onWhole: Run['onWhole'] = async (tx, last) => {
      const { decision, step } = last
      if (decision.kind !== 'finish') return
      const done = { steps: [...progress.steps, step], last }
      await store(tx, resultOf(run.runId, done, { finishReason: decision.reason, context: step.context }))
    }
    return runLeased(caller, { ...run, onWhole }, progress)
  }

  return {
    /** The name of the model; null: none is configured. */
    findModel: (): string | null => model?.model ?? null,

    ensureConfigured: (): LanguageModel => {
      if (model === null) throw inferenceNotConfigured()
      return model
    },

    /**
     * @throws AppError `inference.*` when the model cannot be had, `session.busy` (409), `session.closed` (409),
     *   `quota.model_tokens` (429), `context.window_exceeded` (422)
     */
    run: async (
      caller: Caller,
      request: RunRequest,
      { emit = null, runId = createId('run') }: { readonly emit?: EmitEvent | null; readonly runId?: string } = {},
    ): Promise<RunResult> => {
      if (model === null) throw inferenceNotConfigured()
      ensureNamesFree(request)
      const { sessionId } = request
      const run: Run = { runId, request, emit }
      const lead = async (work: () => Promise<RunResult>): Promise<RunResult> => {
        await modelTokens.ensureLeft(caller)
        return withSessionLease(database, { caller, sessionId, runId }, work)
      }
      if (caller.idempotency === null) return lead(() => runLeased(caller, run))
      const { agentId } = await contexts.readSession(caller, sessionId)
      return idempotency.runOnce<RunResult>(stayingOf(caller), {
        agentId,
        operation: (_commit, _amend, store) => lead(() => runStoring(caller, run, store)),
      })
    },
  }
}
