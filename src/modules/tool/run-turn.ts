/**
 * Everything that a model wrote in one turn. The step is opened with what was thought, answered and generated, the
 * assistant's message enters the context where asked for, and then call follows call, each a unit of work of its own.
 * A turn that broke off is taken up again under its step's id: what was recorded is not run again (M2).
 */
import type { TenantTransaction } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import type { ExpectedContext } from '../context/context-store.ts'
import type { NewMessage } from '../context/plan-append.ts'
import { sessionClosed } from '../session/session.errors.ts'
import type { StoredSession } from '../session/session.repository.ts'
import type { SessionRef } from '../session/units.ts'
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
import { createTurnCall, type Turn, type TurnCall } from './turn-call.ts'

/** Told of a turn's calls as they run. */
export type TurnWatcher = {
  onCalled(call: ParsedCall): void
  onAnswered(call: RecordedCall): void
}

export type ModelTurn = SessionRef & {
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
  /** Is part of the unit that the turn is whole with: that of its last call. */
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

/** A turn that has begun: the session as that has left it, and the calls that ran in an earlier try. */
type BegunTurn = Turn & { readonly done: readonly RecordedCall[] }

export const createTurnRunner = ({ onMemoryWrite, ...runner }: TurnOptions): RunTurn => {
  const { contexts } = runner
  const runCall = createTurnCall(runner)

  /** The step and the assistant's message; once, however often the turn comes. */
  const beginIn = async (tx: TenantTransaction, session: StoredSession, turn: ModelTurn): Promise<BegunTurn> => {
    const { stepId, door, message, generation, mayBeRepeated } = turn
    const { sessionId } = session
    const { think, answer, violations } = turn.parsed
    const contextVersion = session.context.version
    const contextVersionAfter = message === null ? contextVersion : contextVersion + 1
    const step = { sessionId, stepId, door, think, answer, violations, contextVersion, contextVersionAfter, generation }
    const [opened, done] = await Promise.all([
      openStep(tx, step),
      mayBeRepeated ? findCalls(tx, { sessionId, stepId }) : [],
    ])
    if (opened.outcome === 'refused') throw sessionClosed()
    const { stepOrder } = opened
    const begun = { session, stepId, stepOrder, append: message !== null, assistantMessageId: null, done }
    // A turn that is taken up again has changed the context itself.
    if (opened.outcome === 'exists') return begun
    contexts.ensureExpected(session, turn.expected ?? null)
    if (message === null) return begun
    const appended = await contexts.appendTo(tx, session, [message])
    return { ...begun, session: appended.session, assistantMessageId: appended.messages[0]?.messageId ?? null }
  }

  return async (caller, turn) => {
    const { stepId, parsed, watcher } = turn
    const answerOf = (recorded: readonly RecordedCall[], { context }: StoredSession): StepAnswer =>
      stepAnswerOf({ stepId, parsed, recorded, context })
    const begin = async (tx: TenantTransaction, locked: StoredSession): Promise<BegunTurn> => {
      const begun = await beginIn(tx, locked, turn)
      if (begun.done.length >= parsed.calls.length) await turn.onWhole?.(tx, answerOf(begun.done, begun.session))
      return begun
    }
    const begun = await contexts.change(caller, { session: turn, writesMemoryOf: null, expected: null, work: begin })
    const recorded: RecordedCall[] = [...begun.done]
    let { session } = begun
    for (const [ordinal, call] of parsed.calls.entries()) {
      if (ordinal < begun.done.length) continue
      watcher?.onCalled(call)
      const isLast = ordinal === parsed.calls.length - 1
      const onDone: TurnCall['onDone'] = async (tx, { recorded: last, session: after }) => {
        if (isLast) await turn.onWhole?.(tx, answerOf([...recorded, last], after))
      }
      const done = await runCall(caller, begun, { ordinal, parsed: call, onDone })
      watcher?.onAnswered(done.recorded)
      recorded.push(done.recorded)
      session = done.session
    }
    if (recorded.length > 0) onMemoryWrite()
    return answerOf(recorded, session)
  }
}
