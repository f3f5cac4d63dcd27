/**
 * One turn of a run: a prompt that fits, the model's reply, what it calls, and the record of it all. Once the reply is
 * there, its calls run to their end even if the client has gone: a turn is done or was never begun.
 */

import type { TenantTransaction } from '../../ports/database.ts'
import type { ChatReply, LanguageModel, Sampling } from '../../ports/language-model.ts'
import type { Caller } from '../../shared/caller.ts'
import type { ToolCallMessage } from '../../shared/chat.ts'
import type { CreateId } from '../../shared/ids.ts'
import { inSlices } from '../../shared/yielding.ts'
import type { Snapshot } from '../context/context-store.ts'
import type { NewMessage } from '../context/plan-append.ts'
import { assistantMessage, type TurnWatcher } from '../tool/run-turn.ts'
import type { ToolService } from '../tool/tool.service.ts'
import type { CallAnswer, StepAnswer } from '../tool/tool-answers.ts'
import type { Generation } from '../trajectory/step.repository.ts'
import { askModel } from './ask-model.ts'
import { takeClientCalls } from './client-calls.ts'
import { composePrompt } from './compose-prompt.ts'
import type { createPromptFitter } from './fit-prompt.ts'
import { promptVersion, type Situation } from './policy-prompt.ts'
import { replySteps } from './read-reply.ts'
import { type Decision, decide, type ReadReply, type RunState } from './run-state.ts'
import type { EmitEvent, PolicyStep, RunRequest, RunUsage } from './run-types.ts'

export type TurnOptions = {
  readonly model: LanguageModel
  readonly tools: ToolService
  readonly fitPrompt: ReturnType<typeof createPromptFitter>
  readonly createId: CreateId
}

export type Run = {
  readonly runId: string
  readonly request: RunRequest
  readonly emit: EmitEvent | null
  /** Told of each turn, in the unit of work that it is whole with. */
  readonly onWhole?: (tx: TenantTransaction, outcome: TurnOutcome) => Promise<void>
}

export type TurnOutcome = {
  readonly step: PolicyStep
  readonly decision: Decision
  readonly clientCalls: readonly ToolCallMessage[]
}

const toolsTimeoutMs = 60_000

const situationOf = ({ format, mode }: RunRequest, state: RunState, { context }: Snapshot): Situation => ({
  format,
  mode,
  turn: state.turn,
  turnsMax: state.turnsMax,
  tokens: context.tokens,
  budgetTokens: context.budgetTokens,
  corrections: state.corrections,
})

const usageOf = ({ usage }: ChatReply): RunUsage => ({ modelCalls: 1, ...usage })

const samplingBody = ({ temperature, topP, tokensMax, seed, stop }: Sampling) => ({
  temperature,
  top_p: topP,
  max_tokens: tokensMax,
  seed,
  stop,
})

/** The assistant's message of the turn; null when the reply neither called nor answered, and leaves nothing behind. */
const messageOf = (parsed: ReadReply, clientCalls: readonly ToolCallMessage[]): NewMessage | null => {
  const own = assistantMessage(parsed)
  const toolCalls = [...(own.toolCalls ?? []), ...clientCalls]
  if (toolCalls.length === 0) return parsed.answer === null ? null : own
  const content = clientCalls.length === 0 ? own.content : (parsed.looseText ?? '')
  return { ...own, content, toolCalls }
}

/** The client's own functions are told apart by name, whether the model called natively or by tags in its text. */
const readTurn = async (reply: ChatReply, { format, clientTools }: RunRequest, callIdPrefix: string) => {
  const names = new Set(clientTools.map((tool) => tool.function.name))
  const isClients = ({ function: { name } }: ToolCallMessage) => names.has(name)
  const ownCalls = reply.toolCalls.filter((call) => !isClients(call))
  const parsed = await inSlices(replySteps({ ...reply, toolCalls: ownCalls }, { format, callIdPrefix }))
  const { read, clientCalls } = takeClientCalls(parsed, names)
  return { read, clientCalls: [...reply.toolCalls.filter(isClients), ...clientCalls] }
}

/** A call of the client's own function ends the run, and so does the last turn that was asked for. */
const decisionOf = (
  { turnsNow }: RunRequest,
  state: RunState,
  { read, clientCalls }: Awaited<ReturnType<typeof readTurn>>,
): Decision => {
  if (clientCalls.length > 0) return { kind: 'finish', reason: 'answer', answer: null }
  const decision = decide(state, read)
  const isEnough = decision.kind === 'continue' && state.turn >= turnsNow
  return isEnough ? { kind: 'finish', reason: 'steps_max', answer: null } : decision
}

export const createTurn = ({ model, tools, fitPrompt, createId }: TurnOptions) => {
  const generationOf = (
    { runId, request }: Run,
    { situation, snapshot, reply }: { situation: Situation; snapshot: Snapshot; reply: ChatReply },
  ): Generation => ({
    runId,
    turn: situation.turn,
    model: reply.model,
    modelVersion: null,
    promptVersion,
    situation,
    promptMessageIds: snapshot.context.messages.map(({ messageId }) => messageId),
    clientTools: request.clientTools.length === 0 ? null : request.clientTools,
    promptTokenIds: reply.promptTokenIds,
    output: reply.text,
    tokenIds: reply.tokenIds,
    logprobs: reply.logprobs,
    finishReason: reply.finishReason,
    sampling: samplingBody(request.sampling),
    usage: { prompt_tokens: reply.usage.promptTokens, completion_tokens: reply.usage.completionTokens },
  })

  const ask = async (caller: Caller, run: Run, { state, stepId }: { state: RunState; stepId: string }) => {
    const { request, emit } = run
    const { sessionId, clientTools: extraTools, sampling, mode, format } = request
    const { prompt, snapshot } = await fitPrompt(caller, {
      sessionId,
      compose: (now) => composePrompt(now.context, { ...situationOf(request, state, now), extraTools }),
    })
    await emit?.({ type: 'step.started', stepId, turn: state.turn, context: snapshot.session.context })
    const watch = emit === null ? null : { emit, mode, format }
    const reply = await askModel(
      model,
      { tenantId: caller.tenantId, ...prompt, sampling },
      { signal: caller.signal, watch },
    )
    return { reply, snapshot, situation: situationOf(request, state, snapshot) }
  }

  /** The calls wait for no reader: they have their own time, and a reader may stand still for longer. */
  const watcherOf = (emit: EmitEvent): TurnWatcher => ({
    onCalled: ({ toolCallId, name, arguments: args }) =>
      void emit({ type: 'tool.called', toolCallId, name, arguments: args }),
    onAnswered: (call) =>
      void emit({ type: 'tool.result', call: { ...call, problem: call.problem as CallAnswer['problem'] } }),
  })

  return async (caller: Caller, run: Run, state: RunState): Promise<TurnOutcome> => {
    const { request, emit } = run
    const stepId = createId('stp')
    const asked = await ask(caller, run, { state, stepId })
    const { reply, snapshot } = asked
    const { read, clientCalls } = await readTurn(reply, request, stepId.replace('stp_', 'call_'))
    const decision = decisionOf(request, state, { read, clientCalls })
    const parsed = { ...read, answer: decision.kind === 'finish' ? decision.answer : null }
    const outcomeOf = (step: StepAnswer): TurnOutcome => ({
      step: { ...step, turn: state.turn, finishReason: reply.finishReason, usage: usageOf(reply) },
      decision,
      clientCalls,
    })
    const step = await tools.runTurn(
      { ...caller, signal: AbortSignal.timeout(toolsTimeoutMs) },
      {
        sessionId: request.sessionId,
        agentId: snapshot.session.agentId,
        createdAt: snapshot.session.createdAt,
        stepId,
        mayBeRepeated: false,
        parsed,
        door: 'policy',
        message: messageOf(parsed, clientCalls),
        generation: generationOf(run, asked),
        onWhole: async (tx, whole) => run.onWhole?.(tx, outcomeOf(whole)),
        ...(emit === null ? {} : { watcher: watcherOf(emit) }),
      },
    )
    if (step.context.version !== snapshot.context.version)
      await emit?.({ type: 'context.edited', context: step.context })
    return outcomeOf(step)
  }
}
