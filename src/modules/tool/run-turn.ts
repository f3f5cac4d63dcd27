/**
 * Everything that a model wrote in one turn. The step is opened with what was thought, answered and generated, the
 * assistant's message enters the context where asked for, and then call follows call, each in a transaction of its own.
 * A turn that broke off is taken up again under its step's id: what was recorded is not run again (M2).
 */
import type { TenantTransaction } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import type { ExpectedContext } from '../context/context-store.ts'
import type { NewMessage } from '../context/plan-append.ts'
import { sessionClosed } from '../session/session.errors.ts'
import type { ContextMeasure } from '../session/session-types.ts'
import {
  findCalls,
  type Generation,
  openStep,
  type RecordedCall,
  type StepDoor,
} from '../trajectory/step.repository.ts'
import type { ParsedStep } from './parse-output.ts'
import type { ParsedCall } from './read-calls.ts'
import { type StepAnswer, stepAnswerOf } from './tool-answers.ts'
import type { ToolRunner } from './tool-run.ts'
import { createTurnCall, type Turn } from './turn-call.ts'

/** Told of a turn's calls as they run. */
export type TurnWatcher = {
  onCalled(call: ParsedCall): void
  onAnswered(call: RecordedCall): void
}

export type ModelTurn = {
  readonly sessionId: string
  readonly stepId: string
  /** The version of the context that the turn was written for, where the client names it. */
  readonly expected?: ExpectedContext
  /** May the turn have been begun before, by a request that is now repeated? */
  readonly mayBeRepeated: boolean
  readonly parsed: ParsedStep
  readonly door: Extract<StepDoor, 'tool_calls' | 'policy'>
  /** The assistant's message, which enters the context with the tool messages; null: nothing does. */
  readonly message: NewMessage | null
  /** Tokens and log probabilities, where the service itself asked the model. */
  readonly generation: Generation | null
  readonly watcher?: TurnWatcher
  /** Runs in the transaction of a turn that calls nothing, and so is whole with it. */
  readonly onWhole?: (tx: TenantTransaction, step: StepAnswer) => Promise<void>
}

export type TurnOptions = ToolRunner & { readonly onMemoryWrite: () => void }

export type RunTurn = (caller: Caller, turn: ModelTurn) => Promise<StepAnswer>

/** What a model's turn leaves in the context: its answer and its calls. What it thought stays in the step. */
export const assistantMessage = ({ answer, calls }: Pick<ParsedStep, 'answer' | 'calls'>): NewMessage => ({
  role: 'assistant',
  content: answer ?? '',
  toolCalls:
    calls.length === 0
      ? null
      : calls.map((parsed) => ({
          id: parsed.toolCallId,
          type: 'function' as const,
          function: { name: parsed.name, arguments: parsed.raw ?? JSON.stringify(parsed.arguments) },
        })),
})

/** With the context as the assistant's message has left it. */
type BegunTurn = Turn & { readonly context: ContextMeasure }

export const createTurnRunner = ({ onMemoryWrite, ...runner }: TurnOptions): RunTurn => {
  const { database, contexts } = runner
  const runCall = createTurnCall(runner)

  /** The step and the assistant's message; once, however often the turn comes. */
  const beginIn = async (tx: TenantTransaction, caller: Caller, turn: ModelTurn): Promise<BegunTurn> => {
    const { sessionId, stepId, door, message, generation } = turn
    const session = await contexts.lockOpen(tx, caller, { sessionId, expected: null })
    const { think, answer, violations } = turn.parsed
    const contextVersion = session.context.version
    const contextVersionAfter = message === null ? contextVersion : contextVersion + 1
    const step = { sessionId, stepId, door, think, answer, violations, contextVersion, contextVersionAfter, generation }
    const opened = await openStep(tx, step)
    if (opened.outcome === 'refused') throw sessionClosed()
    // A turn that is taken up again has changed the context itself.
    if (opened.outcome === 'opened') contexts.ensureExpected(session, turn.expected ?? null)
    const append = message !== null
    const { stepOrder } = opened
    const begun = { sessionId, stepId, stepOrder, append, assistantMessageId: null, context: session.context }
    if (opened.outcome === 'exists' || message === null) return begun
    const appended = await contexts.appendTo(tx, session, [message])
    const { context } = appended.session
    return { ...begun, assistantMessageId: appended.messages[0]?.messageId ?? null, context }
  }

  const begin = (caller: Caller, turn: ModelTurn): Promise<BegunTurn> =>
    database.transact(caller.tenantId, async (tx) => {
      const begun = await beginIn(tx, caller, turn)
      const { parsed, onWhole } = turn
      if (parsed.calls.length === 0) await onWhole?.(tx, stepAnswerOf({ ...begun, parsed, recorded: [] }))
      return begun
    })

  return async (caller, turn) => {
    const { sessionId, stepId, parsed, watcher } = turn
    const begun = await begin(caller, turn)
    const done = turn.mayBeRepeated
      ? await database.transact(caller.tenantId, (tx) => findCalls(tx, { sessionId, stepId }), caller)
      : []
    const recorded: RecordedCall[] = [...done]
    for (const [ordinal, call] of parsed.calls.entries()) {
      if (ordinal < done.length) continue
      watcher?.onCalled(call)
      const answered = await runCall(caller, begun, { ordinal, parsed: call })
      watcher?.onAnswered(answered)
      recorded.push(answered)
    }
    if (recorded.length === 0) return stepAnswerOf({ stepId, parsed, recorded, context: begun.context })
    onMemoryWrite()
    const { context } = await contexts.readSession(caller, sessionId)
    return stepAnswerOf({ stepId, parsed, recorded, context })
  }
}
