import type { IndexableRow } from './index.repository.ts'

/** A batch of additions shares one revision and has at most 500 memories, so one page always ends a revision. */
export const rowsPerPage = 512

/** The rows up to the last revision that was read whole. */
export const wholeRevisions = (rows: readonly IndexableRow[]): readonly IndexableRow[] => {
  const last = rows.at(-1)
  if (rows.length < rowsPerPage || last === undefined) return rows
  const whole = rows.filter((row) => row.revision < last.revision)
  return whole.length > 0 ? whole : rows
}
