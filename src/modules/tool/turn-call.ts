/**
 * One call of a model's turn. What cannot run, or fails, becomes an answer that the model reads; effect, record and, where
 * asked for, the tool message in the context are one transaction.
 */
import type { TenantTransaction } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import { type AppError, brokenInvariant, isAppError } from '../../shared/errors.ts'
import type { NewMessage } from '../context/plan-append.ts'
import { type RecordedCall, recordCall } from '../trajectory/step.repository.ts'
import type { ParsedCall } from './read-calls.ts'
import { invalidArguments, unrunnableCall } from './tool.errors.ts'
import { problemOf, toolMessageContent } from './tool-answers.ts'
import { parseModelArguments } from './tool-arguments.ts'
import { type PreparedTool, prepareTool, type RecallForm, type ToolRun, type ToolRunner } from './tool-run.ts'

/** The turn that the call belongs to; its step is open. */
export type Turn = {
  readonly sessionId: string
  readonly stepId: string
  readonly stepOrder: number
  /** Do the call's answers enter the context? */
  readonly append: boolean
  readonly assistantMessageId: string | null
}

type TurnCall = { readonly ordinal: number; readonly parsed: ParsedCall }

/** What a call came to before its transaction: a tool that is ready to be applied, or why there is none. */
type Outcome = PreparedTool | AppError

const recordOf = (parsed: ParsedCall, outcome: Outcome, effect: Awaited<ReturnType<PreparedTool['apply']>> | null) => ({
  toolCallId: parsed.toolCallId,
  name: parsed.name,
  arguments: parsed.arguments,
  status: effect === null ? ('error' as const) : ('ok' as const),
  effective: effect?.effective ?? false,
  result: effect?.result ?? null,
  problem: isAppError(outcome) ? problemOf(outcome) : null,
})

export const createTurnCall = ({ database, contexts, tools, onCall }: ToolRunner) => {
  const prepare = async (caller: Caller, turn: Turn, parsed: ParsedCall): Promise<Outcome> => {
    try {
      if (parsed.problem !== undefined) return unrunnableCall(parsed.problem)
      if (parsed.tool === null) throw brokenInvariant('A call of no tool carries no problem.')
      const args = parseModelArguments(parsed.tool, parsed.arguments)
      if (!args.ok) return invalidArguments(args.errors)
      const session = await contexts.readSession(caller, turn.sessionId)
      const recall: RecallForm = turn.append ? { form: 'result', toolCallId: parsed.toolCallId } : { form: 'none' }
      const { stepOrder, assistantMessageId: callerMessageId } = turn
      const run: ToolRun = { caller, session, stepOrder, callerMessageId, recall, reader: 'context' }
      return await prepareTool(tools, { key: parsed.tool, run, args: args.value })
    } catch (error) {
      if (isAppError(error) && !caller.signal.aborted) return error
      throw error
    }
  }

  const applyIn = async (
    tx: TenantTransaction,
    { caller, turn, call, outcome }: { caller: Caller; turn: Turn; call: TurnCall; outcome: Outcome },
  ): Promise<RecordedCall> => {
    const { ordinal, parsed } = call
    const { sessionId, stepId } = turn
    const effect = isAppError(outcome) ? null : await outcome.apply(tx)
    const recorded = recordOf(parsed, outcome, effect)
    const session = await contexts.lockOpen(tx, caller, { sessionId, expected: null })
    const content = toolMessageContent(recorded)
    const needsMessage = turn.append && effect?.hasAnswered !== true
    const message: NewMessage = { role: 'tool', content, name: parsed.name, toolCallId: parsed.toolCallId }
    const after = needsMessage ? (await contexts.appendTo(tx, session, [message])).session : session
    await recordCall(tx, { sessionId, stepId, ordinal, call: recorded, contextVersion: after.context.version })
    return recorded
  }

  return async (caller: Caller, turn: Turn, call: TurnCall): Promise<RecordedCall> => {
    const outcome = await prepare(caller, turn, call.parsed)
    const apply = (given: Outcome) =>
      database.transact(caller.tenantId, (tx) => applyIn(tx, { caller, turn, call, outcome: given }), caller)
    const recorded = await apply(outcome).catch((error: unknown) => {
      if (isAppError(outcome) || !isAppError(error) || error.status >= 500 || error.code.startsWith('session.'))
        throw error
      return apply(error)
    })
    if (call.parsed.tool !== null) onCall({ tool: call.parsed.tool, status: recorded.status })
    return recorded
  }
}
