/**
 * The effect of a plan, as pure data: the model that the tables follow. A session's messages are never deleted; the
 * context is the view of those in state `in_context`, by position. Every change makes one new version, and the token
 * count is recounted from the messages, so that it cannot drift (C4).
 */
import type { Context, ContextEdit, ContextMessage, EditPlan } from '../../src/modules/context/context-types.ts'
import { byPosition, sumTokens } from '../../src/modules/context/edit-cost.ts'
import type { AppendPlan } from '../../src/modules/context/plan-append.ts'

/** A session's messages and edits, all that ever were. */
export type ContextHistory = {
  readonly version: number
  readonly budgetTokens: number
  readonly nextSequence: number
  /** By sequence. */
  readonly messages: readonly ContextMessage[]
  /** By version. */
  readonly edits: readonly ContextEdit[]
}

export const emptyHistory = (budgetTokens: number): ContextHistory => ({
  version: 0,
  budgetTokens,
  nextSequence: 0,
  messages: [],
  edits: [],
})

/** The live view of a history. */
export const contextOf = (history: ContextHistory): Context => {
  const messages = history.messages.filter((message) => message.state === 'in_context').sort(byPosition)
  const { version, budgetTokens, nextSequence } = history
  return { version, tokens: sumTokens(messages), budgetTokens, nextSequence, messages }
}

export const applyAppend = (history: ContextHistory, { added }: AppendPlan): ContextHistory => ({
  ...history,
  version: history.version + 1,
  nextSequence: history.nextSequence + added.length,
  messages: [...history.messages, ...added],
})

export const applyPlan = (history: ContextHistory, plan: EditPlan, editId: string): ContextHistory => {
  const stateById = new Map(plan.removed.map((removed) => [removed.messageId, removed.state]))
  const restored = new Set(plan.restoredMessageIds)
  const moved = history.messages.map((message): ContextMessage => {
    if (restored.has(message.messageId)) return { ...message, state: 'in_context', editId: null }
    const state = stateById.get(message.messageId)
    return state === undefined ? message : { ...message, state, editId }
  })
  const undone = plan.details.kind === 'undo' ? plan.details.undoneEditId : null
  const after: ContextHistory = {
    ...history,
    version: history.version + 1,
    nextSequence: history.nextSequence + plan.added.length,
    messages: [...moved, ...plan.added],
    edits: [
      ...history.edits.map((edit) => (edit.editId === undone ? { ...edit, undoneBy: editId } : edit)),
      editOf(plan, { editId, contextVersion: history.version + 1 }),
    ],
  }
  if (contextOf(after).tokens !== plan.tokensAfter) throw new Error(`edit ${editId} was planned for another context`)
  return after
}

/** The log's entry of an applied plan. */
const editOf = (
  plan: EditPlan,
  { editId, contextVersion }: { readonly editId: string; readonly contextVersion: number },
): ContextEdit => ({
  editId,
  kind: plan.kind,
  contextVersion,
  removed: plan.removed,
  restoredMessageIds: plan.restoredMessageIds,
  addedMessageIds: plan.added.map((message) => message.messageId),
  tokensBefore: plan.tokensBefore,
  tokensAfter: plan.tokensAfter,
  prefillFromPosition: plan.prefillFromPosition,
  details: plan.details,
  undoneBy: null,
})
