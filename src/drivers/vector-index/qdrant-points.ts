/** How points, filters and answers look to Qdrant. */
import type { Schemas } from '@qdrant/js-client-rest'
import type { IndexFilter, IndexHit, IndexPoint, IndexQuery, SourcePosition } from '../../ports/vector-index.ts'
import { brokenInvariant } from '../../shared/errors.ts'
import { vectorIndexMisbehaved } from './vector-index-errors.ts'

export const denseName = 'content'
export const sparseName = 'words'

const sourceFields = ['source_id', 'source_position', 'source_asks']
/** How many candidates a walk through the graph keeps; more are compared, fewer neighbours missed. */
const searchWidth = 256

type Condition = Schemas['Condition']
type Filter = { readonly must: Condition[]; readonly must_not?: Condition[] }

/** @throws AppError `internal.broken_invariant` on what is not an id of a memory */
export const pointIdOf = (memoryId: string): string => {
  const parts = /^mem_([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/.exec(memoryId)
  if (parts === null) throw brokenInvariant('A memory id is not mem_ and 32 hexadecimal digits.')
  return parts.slice(1).join('-')
}

export const memoryIdOf = (pointId: string | number): string => `mem_${String(pointId).replaceAll('-', '')}`

const equals = (key: string, value: string): Condition => ({ key, match: { value } })

export const spaceFilter = (tenantId: string, spaceId: string, further: readonly Condition[] = []): Filter => ({
  must: [equals('tenant_id', tenantId), equals('space_id', spaceId), ...further],
})

/** A point without `expires_at` is in no range, so it is not excluded. */
const searchFilter = (tenantId: string, spaceId: string, { facets, nowMs }: IndexFilter): Filter => ({
  ...spaceFilter(
    tenantId,
    spaceId,
    facets.map((facet) => equals('facets', facet)),
  ),
  must_not: [{ key: 'expires_at', range: { lte: nowMs } }],
})

/**
 * Which of the points already there may be replaced by these; missing ones are always inserted. Each by its own
 * revision, in one request: a newer one stays (M6), and so does the same one with a vector where the new point has none.
 * Only points of the space, should another one ever hold the same id.
 */
const replaceableFilter = (tenantId: string, spaceId: string, points: readonly IndexPoint[]): Filter => {
  const idsOf = new Map<string, { range: { lt: number } | { lte: number }; ids: string[] }>()
  for (const { memoryId, revision, dense } of points) {
    const range = dense === null ? { lt: revision } : { lte: revision }
    const group = idsOf.get(JSON.stringify(range)) ?? { range, ids: [] }
    idsOf.set(JSON.stringify(range), group)
    group.ids.push(pointIdOf(memoryId))
  }
  const should = [...idsOf.values()].map(({ range, ids }) => ({
    must: [{ has_id: ids }, { key: 'revision', range }],
  }))
  return spaceFilter(tenantId, spaceId, [{ should }])
}

const toSourcePayload = ({ sourceId, position, asks }: SourcePosition) => ({
  source_id: sourceId,
  source_position: position,
  ...(asks === undefined ? {} : { source_asks: asks }),
})

const toQdrantPoint = (tenantId: string, spaceId: string, point: IndexPoint): Schemas['PointStruct'] => ({
  id: pointIdOf(point.memoryId),
  vector: {
    ...(point.dense === null ? {} : { [denseName]: Array.from(point.dense) }),
    ...(point.sparse.indices.length === 0
      ? {}
      : { [sparseName]: { indices: [...point.sparse.indices], values: [...point.sparse.values] } }),
  },
  payload: {
    tenant_id: tenantId,
    space_id: spaceId,
    revision: point.revision,
    facets: point.facets,
    ...(point.expiresAtMs === null ? {} : { expires_at: point.expiresAtMs }),
    ...(point.source === null ? {} : toSourcePayload(point.source)),
  },
})

/** One request's worth of points with the condition under which they replace what is there. */
export const toUpsert = (tenantId: string, spaceId: string, points: readonly IndexPoint[]) => ({
  points: points.map((point) => toQdrantPoint(tenantId, spaceId, point)),
  update_filter: replaceableFilter(tenantId, spaceId, points),
})

/** A search for each vector of the query that there is, told apart by `using`. */
export const toSearches = (tenantId: string, spaceId: string, { dense, sparse, filter, limit }: IndexQuery) => {
  const common = { filter: searchFilter(tenantId, spaceId, filter), limit, with_payload: sourceFields }
  const params = { hnsw_ef: Math.max(searchWidth, limit) }
  const words = { indices: [...(sparse?.indices ?? [])], values: [...(sparse?.values ?? [])] }
  return [
    ...(dense === null ? [] : [{ query: Array.from(dense), using: denseName, params, ...common }]),
    ...(words.indices.length === 0 ? [] : [{ query: words, using: sparseName, ...common }]),
  ]
}

const sourceOf = (payload: Schemas['ScoredPoint']['payload']): SourcePosition | null => {
  const { source_id: sourceId, source_position: position, source_asks: asks } = payload ?? {}
  if (typeof sourceId !== 'string' || typeof position !== 'number') return null
  return { sourceId, position, ...(asks === true ? { asks } : {}) }
}

export const toHits = (points: readonly Schemas['ScoredPoint'][]): readonly IndexHit[] =>
  points
    .map(({ id, score, payload }) => ({ memoryId: memoryIdOf(id), score, source: sourceOf(payload) }))
    .sort((one, other) => other.score - one.score || (one.memoryId < other.memoryId ? -1 : 1))

/** @throws AppError `vector_index.misbehaved` on a point without a revision */
export const toRevision = ({ id, payload }: Schemas['Record']): { memoryId: string; revision: number } => {
  const revision = payload?.revision
  if (typeof revision !== 'number') throw vectorIndexMisbehaved('A point in Qdrant has no revision.')
  return { memoryId: memoryIdOf(id), revision }
}
