/**
 * Reads a space of the index out of PostgreSQL, for an index that is a cache of it: what was published after a cursor,
 * page by page. Publications are numbered without gaps by the indexer, so who knows the last one it saw misses nothing;
 * who was away for so long that removals have been forgotten since is told to start over.
 */
import type { Database } from '../../ports/database.ts'
import type { IndexPoint } from '../../ports/vector-index.ts'
import { indexPointsOf } from './index-point.ts'
import { type PublicationCursor, type PublishedChange, readPublishedPage } from './publication.repository.ts'

/** Of contents in one page; one memory is read however long it is. */
const pageBytesMax = 1_048_576

export type SpacePage = {
  readonly points: readonly IndexPoint[]
  readonly removedMemoryIds: readonly string[]
  readonly cursor: string
  readonly more: boolean
  readonly startOver: boolean
}

type SpaceRequest = {
  readonly tenantId: string
  readonly spaceId: string
  /** Null: from the beginning. */
  readonly after: string | null
  readonly limit: number
  readonly signal: AbortSignal
}

/** Where the reader is, and since which publication it has been told of every removal. */
type ReaderCursor = PublicationCursor & { readonly since: number }

const start: ReaderCursor = { published: 0, memoryId: '', since: 0 }

const formatCursor = ({ published, memoryId, since }: ReaderCursor): string => `${since} ${published} ${memoryId}`

const parseCursor = (text: string | null): ReaderCursor => {
  if (text === null) return start
  const [since, published, memoryId] = text.split(' ')
  return { since: Number(since), published: Number(published), memoryId: memoryId ?? '' }
}

const toPage = async (
  changes: readonly PublishedChange[],
  { cursor, more, signal }: { cursor: ReaderCursor; more: boolean; signal: AbortSignal },
): Promise<SpacePage> => {
  const rows = changes.flatMap((change) => (change.content === null ? [] : [{ ...change, content: change.content }]))
  const removedMemoryIds = changes.flatMap(({ content, memory_id }) => (content === null ? [memory_id] : []))
  const points = await indexPointsOf(rows, { signal })
  return { points, removedMemoryIds, cursor: formatCursor(cursor), more, startOver: false }
}

const startOver: SpacePage = {
  points: [],
  removedMemoryIds: [],
  cursor: formatCursor(start),
  more: true,
  startOver: true,
}

export const createSpaceReader =
  ({ database, model }: { database: Database; model: string }) =>
  async ({ tenantId, spaceId, after, limit, signal }: SpaceRequest): Promise<SpacePage | null> => {
    const cursor = parseCursor(after)
    const page = await database.read(
      tenantId,
      (tx) => readPublishedPage(tx, { spaceId, after: cursor, model, limit, bytesMax: pageBytesMax }),
      { signal },
    )
    if (page === null) return null
    if (after !== null && cursor.since < page.forgotten) return startOver
    // A reader that begins has nothing to be told of removals before; one that has caught up knows of all of them.
    const { more } = page
    const since = after === null || !more ? page.publication : cursor.since
    const last = page.changes.at(-1)
    const place = last === undefined ? cursor : { published: last.published, memoryId: last.memory_id }
    return toPage(page.changes, { cursor: { ...place, since }, more, signal })
  }
