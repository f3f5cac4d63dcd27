/**
 * A reset empties the context between stages: system and pinned messages stay, with the whole unit of a pinned call or
 * result; the current query and open calls go with the rest. Long-term memory is not touched.
 */
import type { Context, EditDetails, PlannedEdit, Unchanged } from './context-types.ts'
import { editCost } from './edit-cost.ts'
import { toolUnitsOf } from './tool-units.ts'

export const planReset = (context: Context): PlannedEdit | Unchanged => {
  const kept = new Set(
    toolUnitsOf(context.messages)
      .filter((unit) => unit.members.some((message) => message.role === 'system' || message.pinned))
      .flatMap((unit) => unit.members),
  )
  const gone = context.messages.filter((message) => !kept.has(message))
  const details: EditDetails = { kind: 'reset' }
  if (gone.length === 0) return { outcome: 'unchanged', details }
  const removed = gone.map(({ messageId }) => ({ messageId, state: 'reset' as const }))
  const cost = editCost(context, [...kept])
  return { outcome: 'edit', plan: { kind: 'reset', removed, restoredMessageIds: [], added: [], ...cost, details } }
}
