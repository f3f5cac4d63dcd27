/**
 * Everything that a model wrote in one turn. The step is opened with what was thought, answered and generated, the
 * assistant's message enters the context where asked for, and then call follows call, each in a transaction of its own.
 * A turn that broke off is taken up again under its step's id: what was recorded is not run again (M2).
 */
import type { Caller } from '../../shared/caller.ts'
import type { CreateId } from '../../shared/ids.ts'
import type { NewMessage } from '../context/plan-append.ts'
import { sessionClosed } from '../session/session.errors.ts'
import {
  findCalls,
  type Generation,
  openStep,
  type RecordedCall,
  type StepDoor,
} from '../trajectory/step.repository.ts'
import { parseOpenAiToolCalls } from './parse-openai-calls.ts'
import { type ParsedStep, parseModelOutput } from './parse-output.ts'
import { outputMissing } from './tool.errors.ts'
import { type StepAnswer, stepAnswerOf } from './tool-answers.ts'
import type { ToolRunner } from './tool-run.ts'
import { createTurnCall, type Turn } from './turn-call.ts'

/** One of the two. */
export type ModelOutput = {
  /** Raw text: `<think>`, then `<tool_call>` or `<answer>`. */
  readonly output?: string | undefined
  /** As OpenAI has them. */
  readonly toolCalls?: unknown
}

export type ModelTurn = {
  readonly sessionId: string
  readonly output: ModelOutput
  readonly door: Extract<StepDoor, 'tool_calls' | 'policy'>
  /** Do the assistant's message and the tool messages enter the context? */
  readonly append: boolean
  /** Of a turn that may be sent again; absent: a new one. */
  readonly stepId?: string
  /** Tokens and log probabilities, where the service itself asked the model. */
  readonly generation?: Generation
}

export type TurnOptions = ToolRunner & { readonly createId: CreateId; readonly onMemoryWrite: () => void }

export type RunTurn = (caller: Caller, turn: ModelTurn) => Promise<StepAnswer>

const readOutput = ({ output, toolCalls }: ModelOutput, stepId: string): ParsedStep => {
  if ((output === undefined) === (toolCalls === undefined)) throw outputMissing()
  return output === undefined
    ? parseOpenAiToolCalls(toolCalls)
    : parseModelOutput(output, { callIdPrefix: stepId.replace('stp_', 'call_') })
}

const assistantMessage = ({ think, answer, calls }: ParsedStep): NewMessage => ({
  role: 'assistant',
  content: [think === null ? '' : `<think>${think}</think>`, answer ?? ''].filter(Boolean).join('\n'),
  toolCalls:
    calls.length === 0
      ? null
      : calls.map((parsed) => ({
          id: parsed.toolCallId,
          type: 'function' as const,
          function: { name: parsed.name, arguments: parsed.raw ?? JSON.stringify(parsed.arguments) },
        })),
})

export const createTurnRunner = ({ createId, onMemoryWrite, ...runner }: TurnOptions): RunTurn => {
  const { database, contexts } = runner
  const runCall = createTurnCall(runner)

  /** The step and, where asked for, the assistant's message; once, however often the turn comes. */
  const begin = (
    caller: Caller,
    { turn, stepId, parsed }: { turn: ModelTurn; stepId: string; parsed: ParsedStep },
  ): Promise<Turn> =>
    database.transact(caller.tenantId, async (tx) => {
      const { sessionId, door, append, generation = null } = turn
      const session = await contexts.lockOpen(tx, caller, { sessionId, expected: null })
      const { think, answer, violations } = parsed
      const contextVersion = session.context.version
      const step = { sessionId, stepId, door, think, answer, violations, contextVersion, generation }
      const opened = await openStep(tx, step)
      if (opened.outcome === 'refused') throw sessionClosed()
      const begun = { sessionId, stepId, stepOrder: opened.stepOrder, append, assistantMessageId: null }
      if (opened.outcome === 'exists' || !append) return begun
      const { messages } = await contexts.appendTo(tx, session, [assistantMessage(parsed)])
      return { ...begun, assistantMessageId: messages[0]?.messageId ?? null }
    })

  return async (caller, turn) => {
    const { sessionId, stepId = createId('stp') } = turn
    const parsed = readOutput(turn.output, stepId)
    const begun = await begin(caller, { turn, stepId, parsed })
    const done =
      turn.stepId === undefined
        ? []
        : await database.transact(caller.tenantId, (tx) => findCalls(tx, { sessionId, stepId }), caller)
    const recorded: RecordedCall[] = [...done]
    for (const [ordinal, call] of parsed.calls.entries())
      if (ordinal >= done.length) recorded.push(await runCall(caller, begun, { ordinal, parsed: call }))
    onMemoryWrite()
    const after = await contexts.readSnapshot(caller, sessionId)
    return stepAnswerOf({ stepId, parsed, recorded, context: after.session.context })
  }
}
