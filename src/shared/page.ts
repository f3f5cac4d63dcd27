/**
 * Keyset pages: a cursor holds the sort keys of the last row, so a page never skips or repeats a row that was there all
 * along, however many are written in between. Cursors are opaque to clients and carry nothing that a tenant may not see.
 * They name their list, since the keys of one list would read as a place in another, and rows would be missed silently.
 */
import { AppError } from './errors.ts'
import { isUnsafeText } from './json-limits.ts'

export type PageRequest = { readonly cursor: string | null; readonly limit: number }
export type Page<T> = { readonly data: readonly T[]; readonly nextCursor: string | null }

/** Every number that a list is sorted by is an integer of PostgreSQL. */
const integerMax = 2_147_483_647

export const encodeCursor = (list: string, keys: readonly (string | number)[]): string =>
  Buffer.from(JSON.stringify([list, ...keys])).toString('base64url')

export const invalidCursor = () =>
  new AppError({
    code: 'request.invalid_cursor',
    status: 400,
    detail: 'The cursor is not one of this list. Leave it out to start from the first page.',
    errors: [{ pointer: '/cursor', detail: 'is not a cursor of this list' }],
  })

const parseCursor = (cursor: string): readonly unknown[] => {
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    if (Array.isArray(parts)) return parts
  } catch {}
  throw invalidCursor()
}

const isInteger = (key: unknown): boolean => Number.isInteger(key) && Math.abs(Number(key)) <= integerMax

/** The sort keys of a cursor. @throws AppError `request.invalid_cursor` when it is of another list or shape */
export const decodeCursor = <Keys extends readonly (string | number)[]>(
  { list, cursor }: { readonly list: string; readonly cursor: string | null },
  start: Keys,
): Keys => {
  if (cursor === null) return start
  const [name, ...keys] = parseCursor(cursor)
  const isKey = (key: unknown, at: number) =>
    typeof key === typeof start[at] && (typeof key === 'number' ? isInteger(key) : !isUnsafeText(String(key)))
  if (name !== list || keys.length !== start.length || !keys.every(isKey)) throw invalidCursor()
  return keys as unknown as Keys
}

/** Makes a page from `limit + 1` rows: the extra row tells that there is a next page. */
export const pageOf = <Row>(
  rows: readonly Row[],
  { list, limit, keysOf }: { list: string; limit: number; keysOf: (row: Row) => readonly (string | number)[] },
): Page<Row> => {
  const data = rows.slice(0, limit)
  const last = data.at(-1)
  const hasMore = rows.length > limit && last !== undefined
  return { data, nextCursor: hasMore ? encodeCursor(list, keysOf(last)) : null }
}
