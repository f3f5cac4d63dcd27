/**
 * A unit is what enters and leaves the context as one: an assistant message with tool calls together with every tool
 * message that answers it, or any other message alone. A tool message belongs to the nearest assistant message before
 * it that has a call of that id, since models use ids such as `call_0` again in every turn. Because edits move whole
 * units, taking one out never changes to which call the results of another belong.
 *
 * A unit is protected when one of its members is: system messages, pinned messages, the current task query (the latest
 * appended user message), the assistant message that is making the call, and calls that still await a result. A call
 * awaits its results until the next user message: from then on it is abandoned and may leave like any other message. A
 * tool message whose call is not in the context is a unit alone; appending refuses such a message.
 */
import type { Context, ContextMessage } from './context-types.ts'

export type ToolUnit = {
  /** By position; the assistant message first. */
  readonly members: readonly ContextMessage[]
  /** Calls that no tool message answers. */
  readonly openCallIds: readonly string[]
}

type GrowingUnit = { members: ContextMessage[]; openCallIds: string[] }

/** The units of a context by the position of their first member. */
export const toolUnitsOf = (messages: readonly ContextMessage[]): readonly ToolUnit[] => {
  const units: GrowingUnit[] = []
  const latestByCallId = new Map<string, GrowingUnit>()
  for (const message of messages) {
    const owner = message.role === 'tool' && message.toolCallId !== null ? latestByCallId.get(message.toolCallId) : null
    if (owner) {
      owner.members.push(message)
      owner.openCallIds = owner.openCallIds.filter((id) => id !== message.toolCallId)
      continue
    }
    const unit: GrowingUnit = { members: [message], openCallIds: (message.toolCalls ?? []).map((call) => call.id) }
    units.push(unit)
    for (const id of unit.openCallIds) latestByCallId.set(id, unit)
  }
  return units
}

/** Is one part of the unit among these messages, and another not? */
export const isSplit = ({ members }: ToolUnit, messageIds: ReadonlySet<string>): boolean =>
  members.some(({ messageId }) => messageIds.has(messageId)) &&
  !members.every(({ messageId }) => messageIds.has(messageId))

/** The latest user message that was appended: a summary is written as a user message, but asks nothing. */
export const currentQueryOf = (messages: readonly ContextMessage[]): ContextMessage | undefined =>
  messages.findLast((message) => message.role === 'user' && message.kind === 'appended')

/** Tells of a unit whether SUMMARY and FILTER must leave it alone. */
export const protectionOf = (context: Context, callerMessageId: string | null): ((unit: ToolUnit) => boolean) => {
  const query = currentQueryOf(context.messages)
  const awaitsResult = (unit: ToolUnit): boolean =>
    unit.openCallIds.length > 0 && (unit.members[0]?.contextPosition ?? 0) > (query?.contextPosition ?? -1)
  return (unit) =>
    awaitsResult(unit) ||
    unit.members.some(
      (message) =>
        message.role === 'system' ||
        message.pinned ||
        message.messageId === query?.messageId ||
        message.messageId === callerMessageId,
    )
}

/** Follows which calls of a context no tool message answers: of calls with one id, the latest. */
export const createOpenCalls = (messages: readonly ContextMessage[]) => {
  const open = new Set<string>()
  const add = ({ role, toolCalls, toolCallId }: Pick<ContextMessage, 'role' | 'toolCalls' | 'toolCallId'>): void => {
    if (role === 'tool' && toolCallId !== null) open.delete(toolCallId)
    for (const { id } of toolCalls ?? []) open.add(id)
  }
  for (const message of messages) add(message)
  return { add, isOpen: (toolCallId: string): boolean => open.has(toolCallId) }
}

/** Is there a call of that id in the context which no tool message answers? */
export const isOpenCall = (messages: readonly ContextMessage[], toolCallId: string): boolean =>
  createOpenCalls(messages).isOpen(toolCallId)
