/**
 * Undo is the exact inverse of one edit: what it took out comes back at its position with its pins and tokens, what it
 * added leaves (as `undone`). Positions are never given to another message, so the order comes out as it was, whatever
 * was appended or edited since; messages appended later stay.
 *
 * The rule for what depends on an edit: undo E is sound when everything E added is still there to be taken away whole.
 * It is refused when a later edit took out a message that E added (a summary of the summary): that edit must be undone
 * first, since undoing it later would bring back a message whose sources are in the context again. It is refused, too,
 * when an added message has been pinned since (C1), or when it answers a call that would be left without a result
 * (C2). Edits that only touch other messages are independent and may be undone in any order. What E took out can have
 * come back only by an undo of E, which is refused a second time. An undo itself is not undone: run the tool again
 * instead. So each edit is undone at most once, and the chain of `undoneBy` has no cycles (C5).
 */
import { brokenInvariant } from '../../shared/errors.ts'
import type { Context, ContextEdit, ContextMessage, EditDetails, PlannedEdit, Refusal } from './context-types.ts'
import { refuse } from './context-types.ts'
import { editCost } from './edit-cost.ts'
import { isSplit, toolUnitsOf } from './tool-units.ts'

type UndoInput = {
  readonly edit: ContextEdit
  /** The log, or at least its edits later than `edit`. */
  readonly edits: readonly ContextEdit[]
  /** At least the messages that `edit` took out, as they are now. */
  readonly messages: readonly ContextMessage[]
}

const removers = (messageIds: readonly string[], { edit, edits }: UndoInput): readonly ContextEdit[] =>
  edits.filter(
    (later) =>
      later.contextVersion > edit.contextVersion &&
      later.undoneBy === null &&
      later.removed.some((removed) => messageIds.includes(removed.messageId)),
  )

const findRefusal = (context: Context, input: UndoInput): Refusal | null => {
  const { edit } = input
  if (edit.undoneBy !== null) return refuse('context.edit_already_undone', `The edit was undone by ${edit.undoneBy}.`)
  if (edit.kind === 'undo') {
    return refuse('context.undo_not_undoable', 'An undo cannot be undone. Run the tool again to repeat the edit.')
  }
  const added = new Set(edit.addedMessageIds)
  const present = context.messages.filter((message) => added.has(message.messageId))
  const blockers = removers(edit.addedMessageIds, input)
  if (blockers.length > 0) {
    const ids = blockers.map((blocker) => blocker.editId).join(', ')
    return refuse('context.edit_depended_on', `A later edit took out what this one added. Undo it first: ${ids}.`)
  }
  if (present.length !== added.size)
    throw brokenInvariant(`messages added by edit ${edit.editId} are gone without an edit`)
  const pinned = present.filter((message) => message.pinned).map((message) => message.messageId)
  if (pinned.length > 0) {
    return refuse(
      'context.edit_depended_on',
      `The edit added messages that are pinned now. Unpin them first: ${pinned.join(', ')}.`,
    )
  }
  const split = toolUnitsOf(context.messages).find((unit) => isSplit(unit, added))
  if (split === undefined) return null
  return refuse(
    'context.edit_depended_on',
    `The edit added one part of a tool call with its results, and the other part stays: ${split.members.map(({ messageId }) => messageId).join(', ')}. Take them out together with Filter_context or a reset.`,
  )
}

const restorableMessages = ({ edit, messages }: UndoInput): readonly ContextMessage[] => {
  const byId = new Map(messages.map((message) => [message.messageId, message]))
  return edit.removed.map(({ messageId, state }) => {
    const message = byId.get(messageId)
    if (message?.state !== state) throw brokenInvariant(`message ${messageId} is not where edit ${edit.editId} put it`)
    return { ...message, state: 'in_context', editId: null }
  })
}

/** @throws AppError `internal.broken_invariant` when messages and log contradict each other */
export const planUndo = (context: Context, input: UndoInput): PlannedEdit | Refusal => {
  const refusal = findRefusal(context, input)
  if (refusal !== null) return refusal
  const { edit } = input
  const restored = restorableMessages(input)
  const leaving = new Set(edit.addedMessageIds)
  const messagesAfter = [...context.messages.filter((message) => !leaving.has(message.messageId)), ...restored]
  const details: EditDetails = { kind: 'undo', undoneEditId: edit.editId, undoneKind: edit.kind }
  return {
    outcome: 'edit',
    plan: {
      kind: 'undo',
      removed: edit.addedMessageIds.map((messageId) => ({ messageId, state: 'undone' as const })),
      restoredMessageIds: restored.map((message) => message.messageId),
      added: [],
      ...editCost(context, messagesAfter),
      details,
    },
  }
}
