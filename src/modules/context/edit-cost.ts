/**
 * What an edit costs the model's server: prefixes of a prompt are cached, so everything from the first message that
 * differs must be read again. Both orders are those that the model sees, in which tool results follow their call.
 */
import type { Context, ContextMessage, EditPlan } from './context-types.ts'
import { toolUnitsOf } from './tool-units.ts'

export const byPosition = (one: ContextMessage, other: ContextMessage): number =>
  one.contextPosition - other.contextPosition || one.sequence - other.sequence

/** Messages as the model sees them: by position, each tool result right after its call and earlier results of it. */
export const orderForModel = (messages: readonly ContextMessage[]): readonly ContextMessage[] =>
  toolUnitsOf(messages).flatMap((unit) => unit.members)

export const sumTokens = (messages: readonly ContextMessage[]): number =>
  messages.reduce((sum, message) => sum + message.tokens, 0)

type EditCost = Pick<EditPlan, 'tokensBefore' | 'tokensAfter' | 'prefillFromPosition' | 'prefillTokens'>

export const editCost = (before: Context, messagesAfter: readonly ContextMessage[]): EditCost => {
  const seenBefore = orderForModel(before.messages)
  const seenAfter = orderForModel([...messagesAfter].sort(byPosition))
  const differs = seenAfter.findIndex((message, index) => message.messageId !== seenBefore[index]?.messageId)
  const prefillFromPosition = differs === -1 ? seenAfter.length : differs
  return {
    tokensBefore: before.tokens,
    tokensAfter: sumTokens(seenAfter),
    prefillFromPosition,
    prefillTokens: sumTokens(seenAfter.slice(prefillFromPosition)),
  }
}
