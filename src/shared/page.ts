/**
 * Keyset pages: a cursor holds the sort keys of the last row, so a page never skips or repeats a row that was there all
 * along, however many are written in between. Cursors are opaque to clients and carry nothing that a tenant may not see.
 */
import { AppError } from './errors.ts'
import { isUnsafeText } from './json-limits.ts'

export type PageRequest = { readonly cursor: string | null; readonly limit: number }
export type Page<T> = { readonly data: readonly T[]; readonly nextCursor: string | null }

export const encodeCursor = (keys: readonly (string | number)[]): string =>
  Buffer.from(JSON.stringify(keys)).toString('base64url')

export const invalidCursor = () =>
  new AppError({
    code: 'request.invalid_cursor',
    status: 400,
    detail: 'The cursor is not one of this list. Leave it out to start from the first page.',
    errors: [{ pointer: '/cursor', detail: 'is not a cursor of this list' }],
  })

/** The sort keys of a cursor. @throws AppError `request.invalid_cursor` when it has another shape than `start` */
export const decodeCursor = <Keys extends readonly (string | number)[]>(cursor: string | null, start: Keys): Keys => {
  if (cursor === null) return start
  let keys: unknown
  try {
    keys = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
  } catch {
    throw invalidCursor()
  }
  const isKey = (key: unknown, i: number) =>
    typeof key === typeof start[i] && (typeof key === 'number' ? Number.isSafeInteger(key) : !isUnsafeText(String(key)))
  const matches = Array.isArray(keys) && keys.length === start.length && keys.every(isKey)
  if (!matches) throw invalidCursor()
  return keys as unknown as Keys
}

/** Makes a page from `limit + 1` rows: the extra row tells that there is a next page. */
export const pageOf = <Row>(
  rows: readonly Row[],
  { limit, keysOf }: { limit: number; keysOf: (row: Row) => readonly (string | number)[] },
): Page<Row> => {
  const data = rows.slice(0, limit)
  const last = data.at(-1)
  const hasMore = rows.length > limit && last !== undefined
  return { data, nextCursor: hasMore ? encodeCursor(keysOf(last)) : null }
}
