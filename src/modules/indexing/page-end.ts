/**
 * How far a clock may move after a page of what changed. A batch of additions shares one revision and can be more than a
 * page, so beside the clock there is a part: how far into the revision after it things are done.
 */
import { type ChangedRow, noPart, type RevisionPart } from './index.repository.ts'

export type PageEnd = { readonly revision: number; readonly part: RevisionPart }

/** After these rows, where nothing behind them was read but what their `next_revision` tells. `goal`: nothing is behind. */
export const pageEndOf = (
  rows: readonly Pick<ChangedRow, 'memory_id' | 'revision' | 'next_revision'>[],
  goal: number,
): PageEnd => {
  const last = rows.at(-1)
  if (last === undefined || last.next_revision === null) return { revision: goal, part: noPart }
  if (last.next_revision > last.revision) return { revision: last.revision, part: noPart }
  return { revision: last.revision - 1, part: { revision: last.revision, memoryId: last.memory_id } }
}
