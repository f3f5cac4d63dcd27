/**
 * FILTER (eq. 15) takes out every message whose similarity to the criteria reaches the threshold. Calls and their
 * results go together, for the best match among them; protected units stay whatever their score. The set that leaves
 * is a plain threshold on fixed scores, so a lower threshold never removes less, and since a cosine is at most 1 a
 * threshold above 1 removes nothing (C9).
 */
import type { Context, ContextMessage, EditDetails, PlannedEdit, Unchanged } from './context-types.ts'
import { editCost } from './edit-cost.ts'
import { protectionOf, toolUnitsOf } from './tool-units.ts'

/** The messages that FILTER may take out, by position: only these need a vector. */
export const filterCandidates = (context: Context, callerMessageId: string | null): readonly ContextMessage[] => {
  const isProtected = protectionOf(context, callerMessageId)
  const free = new Set(
    toolUnitsOf(context.messages)
      .filter((unit) => !isProtected(unit))
      .flatMap((unit) => unit.members),
  )
  return context.messages.filter((message) => free.has(message))
}

/** What of a message is compared with the criteria: its content, and what it calls with which arguments. */
export const comparableText = (message: ContextMessage): string =>
  [message.content, ...(message.toolCalls ?? []).map((call) => `${call.function.name} ${call.function.arguments}`)]
    .filter((text) => text !== '')
    .join('\n')

type FilterInput = {
  readonly criteria: string
  readonly threshold: number
  /** Best cosine per message id; a message without one stays. */
  readonly similarities: ReadonlyMap<string, number>
  readonly callerMessageId?: string | null
}

/** A unit's similarity is the best of its members'; -Infinity when none has one. */
const unitSimilarity = (members: readonly ContextMessage[], similarities: ReadonlyMap<string, number>): number =>
  members.reduce((best, { messageId }) => {
    const similarity = similarities.get(messageId) ?? Number.NaN
    return Number.isNaN(similarity) ? best : Math.max(best, Math.min(1, similarity))
  }, Number.NEGATIVE_INFINITY)

export const planFilter = (context: Context, input: FilterInput): PlannedEdit | Unchanged => {
  const { criteria, threshold, similarities, callerMessageId = null } = input
  const isProtected = protectionOf(context, callerMessageId)
  const similarityById = new Map<string, number>()
  for (const unit of toolUnitsOf(context.messages)) {
    const similarity = unitSimilarity(unit.members, similarities)
    if (!(similarity >= threshold) || similarity === Number.NEGATIVE_INFINITY || isProtected(unit)) continue
    for (const member of unit.members) similarityById.set(member.messageId, similarity)
  }
  const kept = context.messages.filter((message) => !similarityById.has(message.messageId))
  const gone = context.messages.flatMap(({ messageId }) => {
    const similarity = similarityById.get(messageId)
    return similarity === undefined ? [] : [{ messageId, similarity }]
  })
  const details: EditDetails = { kind: 'filter', criteria, threshold, removed: gone }
  if (gone.length === 0) return { outcome: 'unchanged', details }
  const removed = gone.map(({ messageId }) => ({ messageId, state: 'filtered' as const }))
  const cost = editCost(context, kept)
  return { outcome: 'edit', plan: { kind: 'filter', removed, restoredMessageIds: [], added: [], ...cost, details } }
}
