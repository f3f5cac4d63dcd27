/**
 * Reads what an agent's index does not hold yet, for a search to score itself. The newest come first, and the work has a
 * bound, in rows, in bytes and in terms: what lies beyond it waits for the index, and the answer says `index_lag`. Of each
 * memory only that is made which this search looks at: the query's terms, and the facets of its filter.
 */
import type { Database } from '../../ports/database.ts'
import type { IndexPoint } from '../../ports/vector-index.ts'
import type { Caller } from '../../shared/caller.ts'
import type { Metadata } from '../../shared/metadata.ts'
import { inSlices, type Steps } from '../../shared/yielding.ts'
import { facetsOf } from '../indexing/facets.ts'
import type { IndexableRow } from '../indexing/index.repository.ts'
import { pointWith, storedVectorOf, textOfRow } from '../indexing/index-point.ts'
import { type SparsePart, sparsePartSteps } from '../indexing/lexical.ts'
import { emptyOverlay, type Overlay } from './overlay.ts'
import { readNewestChanged, readRemovedSince, type SearchAgent } from './search.repository.ts'

/** Of one search. Five thousand memories of some sentences each, or a hundred of full length. */
export const overlayBounds = { rowsMax: 5_000, bytesMax: 4 * 1_048_576, termsMax: 500_000 }

/** What a search looks at in a memory. */
export type Wanted = {
  /** Terms of the query; none: words do not count. */
  readonly termIds: readonly number[]
  readonly metadataFilter: Metadata
}

type Target = { readonly agentId: string; readonly agent: SearchAgent }

export type OverlayRead = Pick<Overlay, 'points' | 'outdatedIds'> & { readonly isWhole: boolean }

const noPart: SparsePart = { vector: { indices: [], values: [] }, length: 0 }

const picked = (metadata: Metadata, keys: readonly string[]): Metadata =>
  Object.fromEntries(keys.filter((key) => Object.hasOwn(metadata, key)).map((key) => [key, metadata[key]]))

/** The rows as points, newest first, until their terms are too many. */
export function* overlaySteps(
  rows: readonly IndexableRow[],
  { termIds, metadataFilter }: Wanted,
): Steps<readonly IndexPoint[]> {
  const wanted = new Set(termIds)
  const keys = Object.keys(metadataFilter)
  const points: IndexPoint[] = []
  let termsLeft = overlayBounds.termsMax
  for (const row of rows) {
    if (termsLeft <= 0) break
    const read = wanted.size === 0 ? noPart : yield* sparsePartSteps(textOfRow(row), wanted)
    termsLeft -= read.length
    const dense = storedVectorOf(row)
    const facets = facetsOf(picked(row.metadata, keys), row.memory_type)
    points.push(pointWith(row, { dense, sparse: read.vector, facets }))
    yield
  }
  return points
}

export const createReadOverlay =
  ({ database, embedder }: { readonly database: Database; readonly embedder: { readonly model: string } }) =>
  async (caller: Caller, { agentId, agent }: Target, wanted: Wanted): Promise<OverlayRead> => {
    if (!agent.behind) return { ...emptyOverlay, isWhole: true }
    const afterRevision = agent.indexedRevision
    const { rowsMax, bytesMax } = overlayBounds
    const newest = { agentId, afterRevision, model: embedder.model, limit: rowsMax, bytesMax }
    const [{ rows, isWhole }, removed] = await database.transact(caller.tenantId, (tx) =>
      Promise.all([readNewestChanged(tx, newest), readRemovedSince(tx, { agentId, revision: afterRevision })]),
    )
    const points = await inSlices(overlaySteps(rows, wanted), caller.signal)
    const outdatedIds = new Set([...points.map(({ memoryId }) => memoryId), ...removed])
    return { points, outdatedIds, isWhole: isWhole && points.length === rows.length }
  }
