/**
 * One call of a model's turn. What cannot run, or fails, becomes an answer that the model reads; effect, record and, where
 * asked for, the tool message in the context are one unit of work.
 */
import type { TenantTransaction } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import { type AppError, brokenInvariant, isAppError } from '../../shared/errors.ts'
import type { NewMessage } from '../context/plan-append.ts'
import { idempotencyInFlight } from '../idempotency/idempotency.errors.ts'
import type { StoredSession } from '../session/session.repository.ts'
import { type RecordedCall, recordCall } from '../trajectory/step.repository.ts'
import type { ParsedCall } from './read-calls.ts'
import { invalidArguments, unrunnableCall } from './tool.errors.ts'
import { problemOf, toolMessageContent } from './tool-answers.ts'
import { parseModelArguments } from './tool-arguments.ts'
import {
  type PreparedTool,
  prepareTool,
  type RecallForm,
  type ToolEffect,
  type ToolRun,
  type ToolRunner,
  untilApplied,
} from './tool-run.ts'

/** The turn that the call belongs to; its step is open. */
export type Turn = {
  /** As the turn found it. */
  readonly session: StoredSession
  readonly stepId: string
  readonly stepOrder: number
  /** Do the call's answers enter the context? */
  readonly append: boolean
  readonly assistantMessageId: string | null
}

/** What a call has left: its record, and the session after it. */
export type DoneCall = { readonly recorded: RecordedCall; readonly session: StoredSession }

export type TurnCall = {
  readonly ordinal: number
  readonly parsed: ParsedCall
  /** Is part of the call's unit, after all else. */
  readonly onDone: (tx: TenantTransaction, done: DoneCall) => Promise<void>
}

/** What a call came to before its unit: a tool that is ready to be applied, or why there is none. */
type Outcome = PreparedTool | AppError

const recordOf = (parsed: ParsedCall, outcome: Outcome, effect: ToolEffect | null) => ({
  toolCallId: parsed.toolCallId,
  name: parsed.name,
  arguments: parsed.arguments,
  status: effect === null ? ('error' as const) : ('ok' as const),
  effective: effect?.effective ?? false,
  result: effect?.result ?? null,
  problem: isAppError(outcome) ? problemOf(outcome) : null,
})

/** Failures that the model is told of; the rest are failures of the turn. */
const isForTheModel = (error: unknown): error is AppError =>
  isAppError(error) && error.status < 500 && !/^(session|idempotency)\./.test(error.code)

export const createTurnCall = ({ contexts, tools, onCall }: ToolRunner) => {
  const prepare = async (caller: Caller, turn: Turn, parsed: ParsedCall): Promise<Outcome> => {
    try {
      if (parsed.problem !== undefined) return unrunnableCall(parsed.problem)
      if (parsed.tool === null) throw brokenInvariant('A call of no tool carries no problem.')
      const args = parseModelArguments(parsed.tool, parsed.arguments)
      if (!args.ok) return invalidArguments(args.errors)
      const recall: RecallForm = turn.append ? { form: 'result', toolCallId: parsed.toolCallId } : { form: 'none' }
      const { session, assistantMessageId: callerMessageId } = turn
      const run: ToolRun = { caller, session, callerMessageId, recall, reader: 'context' }
      return await prepareTool(tools, { key: parsed.tool, run, args: args.value })
    } catch (error) {
      if (isAppError(error) && !caller.signal.aborted) return error
      throw error
    }
  }

  /** A call that a reset or an undo took out of the context meanwhile has run all the same; its answer is in the step alone. */
  const appendAnswer = async (tx: TenantTransaction, session: StoredSession, message: NewMessage) => {
    try {
      return (await contexts.appendTo(tx, session, [message])).session
    } catch (error) {
      if (isAppError(error, 'context.orphan_tool_result')) return session
      throw error
    }
  }

  const applyIn = async (
    tx: TenantTransaction,
    locked: StoredSession,
    { turn, call, outcome }: { turn: Turn; call: TurnCall; outcome: Outcome },
  ): Promise<DoneCall> => {
    const { ordinal, parsed } = call
    const { stepId, stepOrder } = turn
    const effect = isAppError(outcome) ? null : await outcome.apply(tx, { session: locked, stepOrder })
    const recorded = recordOf(parsed, outcome, effect)
    const content = toolMessageContent(recorded)
    const message: NewMessage = { role: 'tool', content, name: parsed.name, toolCallId: parsed.toolCallId }
    const needsMessage = turn.append && effect?.hasAnswered !== true
    const edited = effect?.session ?? locked
    const session = needsMessage ? await appendAnswer(tx, edited, message) : edited
    const { sessionId, context } = session
    const done = { recorded, session }
    const [isRecorded] = await Promise.all([
      recordCall(tx, { sessionId, stepId, ordinal, call: recorded, contextVersion: context.version }),
      call.onDone(tx, done),
    ])
    // Another process is at the same request: what it has done stands, and this is undone.
    if (!isRecorded) throw idempotencyInFlight()
    return done
  }

  return async (caller: Caller, turn: Turn, call: TurnCall): Promise<DoneCall> => {
    const { session } = turn
    const apply = (outcome: Outcome): Promise<DoneCall> => {
      const writesMemoryOf = !isAppError(outcome) && outcome.writesMemory ? session.agentId : null
      const work = (tx: TenantTransaction, locked: StoredSession) => applyIn(tx, locked, { turn, call, outcome })
      return contexts.change(caller, { session, writesMemoryOf, expected: null, work })
    }
    const done = await untilApplied(() => prepare(caller, turn, call.parsed), apply).catch((error: unknown) => {
      if (!isForTheModel(error)) throw error
      return apply(error)
    })
    if (call.parsed.tool !== null) onCall({ tool: call.parsed.tool, status: done.recorded.status })
    return done
  }
}
