/**
 * Reads a space of the index out of PostgreSQL, for an index that is a cache of it: what was published after a cursor,
 * page by page. Publications are numbered without gaps by the indexer, so who knows the last one it saw misses nothing;
 * who was away for so long that removals have been forgotten since is told to start over.
 */
import type { Database } from '../../ports/database.ts'
import type { IndexPoint } from '../../ports/vector-index.ts'
import {
  type PublicationCursor,
  type PublishedChange,
  readPublication,
  readPublishedChanges,
} from './index.repository.ts'
import { decodeVector, indexPointOf } from './index-point.ts'

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

const start: PublicationCursor = { published: 0, memoryId: '' }

const parseCursor = (text: string | null): PublicationCursor => {
  if (text === null) return start
  const [published, memoryId] = text.split(' ')
  return { published: Number(published), memoryId: memoryId ?? '' }
}

const toPage = (changes: readonly PublishedChange[], { after, limit }: SpaceRequest): SpacePage => {
  const points: IndexPoint[] = []
  const removedMemoryIds: string[] = []
  for (const change of changes) {
    const { content, embedding } = change
    if (content === null) removedMemoryIds.push(change.memory_id)
    else points.push(indexPointOf({ ...change, content }, embedding === null ? null : decodeVector(embedding)))
  }
  const last = changes.at(-1)
  const cursor = last === undefined ? (after ?? `${start.published} `) : `${last.published} ${last.memory_id}`
  return { points, removedMemoryIds, cursor, more: changes.length === limit, startOver: false }
}

export const createSpaceReader =
  ({ database, model }: { database: Database; model: string }) =>
  async (request: SpaceRequest): Promise<SpacePage | null> => {
    const { tenantId, spaceId, after, limit, signal } = request
    const cursor = parseCursor(after)
    const read = await database.read(
      tenantId,
      async (tx) => {
        const publication = await readPublication(tx, spaceId)
        if (publication === null) return null
        if (after !== null && cursor.published < publication.forgotten) return { isStale: true, changes: [] }
        return { isStale: false, changes: await readPublishedChanges(tx, { spaceId, after: cursor, model, limit }) }
      },
      { signal },
    )
    if (read === null) return null
    if (read.isStale) return { points: [], removedMemoryIds: [], cursor: '0 ', more: true, startOver: true }
    return toPage(read.changes, request)
  }
