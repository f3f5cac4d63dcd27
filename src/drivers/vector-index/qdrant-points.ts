/**
 * How points, filters and answers look to Qdrant. The id of a point is a hash of tenant, space and memory, so what one
 * tenant writes can never fall on a point of another's, not even under a memory id that it made up (T1). The memory's own
 * id is in the payload.
 */
import { createHash } from 'node:crypto'
import type { Schemas } from '@qdrant/js-client-rest'
import type { IndexFilter, IndexPoint, IndexQuery, SourcePosition } from '../../ports/vector-index.ts'

export const sparseName = 'words'

const hitFields = ['memory_id', 'source_id', 'source_position', 'source_asks']
/** How many candidates a walk through the graph keeps; more are compared, fewer neighbours missed. */
const searchWidth = 256

type Condition = Schemas['Condition']
type Filter = { readonly must: Condition[]; readonly must_not?: Condition[] }

export type Place = readonly [tenantId: string, spaceId: string]

/** A UUID of version 8: 122 bits of the SHA-256 of a text that no other three ids make. */
export const pointIdOf = ([tenantId, spaceId]: Place, memoryId: string): string => {
  const hash = createHash('sha256')
    .update(JSON.stringify([tenantId, spaceId, memoryId]))
    .digest('hex')
  const variant = ((Number.parseInt(hash.charAt(16), 16) & 3) | 8).toString(16)
  const [first, second, third] = [hash.slice(0, 8), hash.slice(8, 12), hash.slice(13, 16)]
  return `${first}-${second}-8${third}-${variant}${hash.slice(17, 20)}-${hash.slice(20, 32)}`
}

const equals = (key: string, value: string): Condition => ({ key, match: { value } })

export const spaceFilter = ([tenantId, spaceId]: Place, further: readonly Condition[] = []): Filter => ({
  must: [equals('tenant_id', tenantId), equals('space_id', spaceId), ...further],
})

/** A point without `expires_at` is in no range, so it is not excluded. */
const searchFilter = (place: Place, { facets, nowMs }: IndexFilter): Filter => ({
  ...spaceFilter(
    place,
    facets.map((facet) => equals('facets', facet)),
  ),
  must_not: [{ key: 'expires_at', range: { lte: nowMs } }],
})

/**
 * Which of the points already there may be replaced by these; missing ones are always inserted. Each by its own
 * revision, in one request: a newer one stays (M6), and so does the same one with a vector where the new point has none.
 * Only points of the space, as everywhere.
 */
const replaceableFilter = (place: Place, points: readonly IndexPoint[]): Filter => {
  const idsOf = new Map<string, { range: { lt: number } | { lte: number }; ids: string[] }>()
  for (const { memoryId, revision, dense } of points) {
    const range = dense === null ? { lt: revision } : { lte: revision }
    const group = idsOf.get(JSON.stringify(range)) ?? { range, ids: [] }
    idsOf.set(JSON.stringify(range), group)
    group.ids.push(pointIdOf(place, memoryId))
  }
  const should = [...idsOf.values()].map(({ range, ids }) => ({
    must: [{ has_id: ids }, { key: 'revision', range }],
  }))
  return spaceFilter(place, [{ should }])
}

const toSourcePayload = ({ sourceId, position, asks }: SourcePosition) => ({
  source_id: sourceId,
  source_position: position,
  ...(asks === undefined ? {} : { source_asks: asks }),
})

const toQdrantPoint = (place: Place, vectorName: string, point: IndexPoint): Schemas['PointStruct'] => ({
  id: pointIdOf(place, point.memoryId),
  vector: {
    ...(point.dense === null ? {} : { [vectorName]: Array.from(point.dense) }),
    ...(point.sparse.indices.length === 0
      ? {}
      : { [sparseName]: { indices: [...point.sparse.indices], values: [...point.sparse.values] } }),
  },
  payload: {
    tenant_id: place[0],
    space_id: place[1],
    memory_id: point.memoryId,
    revision: point.revision,
    facets: point.facets,
    ...(point.expiresAtMs === null ? {} : { expires_at: point.expiresAtMs }),
    ...(point.source === null ? {} : toSourcePayload(point.source)),
  },
})

/** One request's worth of points with the condition under which they replace what is there. */
export const toUpsert = (place: Place, vectorName: string, points: readonly IndexPoint[]) => ({
  points: points.map((point) => toQdrantPoint(place, vectorName, point)),
  update_filter: replaceableFilter(place, points),
})

/** A search for each vector of the query that there is, told apart by `using`. */
export const toSearches = (place: Place, vectorName: string, { dense, sparse, filter, limit }: IndexQuery) => {
  const common = { filter: searchFilter(place, filter), limit, with_payload: hitFields }
  const params = { hnsw_ef: Math.max(searchWidth, limit) }
  const words = { indices: [...(sparse?.indices ?? [])], values: [...(sparse?.values ?? [])] }
  return [
    ...(dense === null ? [] : [{ query: Array.from(dense), using: vectorName, params, ...common }]),
    ...(words.indices.length === 0 ? [] : [{ query: words, using: sparseName, ...common }]),
  ]
}
