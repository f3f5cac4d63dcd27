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
import type { Idempotency } from '../idempotency/idempotency.service.ts'
import { findSession } from '../session/session.repository.ts'
import { ensureReachable } from '../session/session.service.ts'
import type { ModelTokens } from '../tenant/model-tokens.ts'
import type { ToolService } from '../tool/tool.service.ts'
import { findToolKey } from '../tool/tool-definitions.ts'
import { createPromptFitter } from './fit-prompt.ts'
import { inferenceNotConfigured, toolNameTaken } from './policy.errors.ts'
import { type FinishReason, startRun } from './run-state.ts'
import { addUsage, type EmitEvent, noUsage, type PolicyStep, type RunRequest, type RunResult } from './run-types.ts'
import { withSessionLease } from './session-lease.ts'
import { createTurn, type Run, type TurnOutcome } from './take-turn.ts'

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

type Progress = { readonly steps: PolicyStep[]; last: TurnOutcome | null }

const ensureNamesFree = ({ clientTools }: RunRequest): void => {
  const taken = clientTools.find((tool) => findToolKey(tool.function.name) !== null)
  if (taken !== undefined) throw toolNameTaken(taken.function.name)
}

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
      progress.last = await takeTurn(caller, run, state)
      progress.steps.push(progress.last.step)
      const { decision } = progress.last
      if (decision.kind === 'finish') return decision.reason
      if (progress.steps.length >= run.request.turnsNow) return 'steps_max'
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
      if (client.aborted) return 'cancelled'
      if (deadline.aborted) return 'deadline'
      throw error
    }
  }

  const runLeased = async (caller: Caller, run: Run): Promise<RunResult> => {
    const { request, runId, emit } = run
    const { sessionId } = request
    const deadline = AbortSignal.timeout(request.deadlineMs)
    const working: Caller = { ...caller, idempotency: null, signal: AbortSignal.any([caller.signal, deadline]) }
    const input = typeof request.input === 'function' ? await request.input(working) : request.input
    if (input.length > 0) await contexts.append(working, { sessionId, messages: input, expected: null })
    const progress: Progress = { steps: [], last: null }
    const turns = takeTurns(working, run, progress)
    const finishReason = await untilCutShort(turns, { client: caller.signal, deadline })
    const { steps, last } = progress
    const answer = last?.decision.kind === 'finish' ? last.decision.answer : null
    if (answer !== null) await emit?.({ type: 'answer', answer })
    const context =
      last?.step.context ??
      (await contexts.readSnapshot({ ...working, signal: caller.signal }, sessionId)).session.context
    const usage = steps.reduce((sum, step) => addUsage(sum, step.usage), noUsage)
    return { runId, answer, finishReason, steps, usage, context, clientCalls: last?.clientCalls ?? [] }
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
      const lead = async (): Promise<RunResult> => {
        await modelTokens.ensureLeft(caller)
        const run = { runId, request, emit }
        return withSessionLease(database, { caller, sessionId, runId }, () => runLeased(caller, run))
      }
      if (caller.idempotency === null) return lead()
      const found = await database.transact(caller.tenantId, (tx) => findSession(tx, sessionId), caller)
      const { agentId } = ensureReachable(caller, found)
      // The answer of a run that its client has left is stored all the same.
      const storing: Caller = { ...caller, signal: new AbortController().signal }
      return idempotency.runOnce<RunResult>(storing, {
        agentId,
        operation: async (commit) => {
          const result = await lead()
          return commit(async () => result)
        },
      })
    },
  }
}
