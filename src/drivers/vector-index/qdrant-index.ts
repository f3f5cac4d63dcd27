/**
 * The vector index in a Qdrant server (1.16 or later). Every request names the tenant and the space in its filter, also
 * those that name points by id. Were a server to lose that filter, it would answer with ids of others, and it is
 * PostgreSQL that then gives out no text for them, by row level security (T2).
 *
 * What serves is known from the first use on and asked again when the server says otherwise. As long as it is another
 * embedder's, it is asked before each use: whoever writes has to know whether vectors can be written too.
 *
 * A search leaves it to the server whether to compare every vector or walk a graph: it compares when a filter leaves few
 * (about 5,000 of 512 dimensions), which is exact, and `hnsw_ef` makes the walk a wide one. Which of several hits with
 * one score make it into a full list is the server's choice.
 */
import type { VectorIndex } from '../../ports/vector-index.ts'
import { toCosine } from '../../shared/cosine.ts'
import { isAppError } from '../../shared/errors.ts'
import { readRevisions, readSearches } from './qdrant-answers.ts'
import type { CallInit } from './qdrant-call.ts'
import { connectToQdrant, type QdrantIndexOptions } from './qdrant-connection.ts'
import { type Place, pointIdOf, spaceFilter, sparseName, toSearches } from './qdrant-points.ts'
import { createRebuilding, removePoints, removeSpace, writePoints } from './qdrant-writes.ts'
import { ensureDimensions, vectorIndexUnavailable } from './vector-index-errors.ts'

export const createQdrantIndex = (options: QdrantIndexOptions): VectorIndex => {
  const { dimensions, timeoutMs } = options
  const connection = connectToQdrant(options)
  const { api, call, collections, vectorName, findServing, getServing, aliasName: collection_name } = connection

  return {
    name: 'qdrant',
    rebuilding: createRebuilding(connection),
    ensureReady: async ({ signal } = {}) => {
      if ((await findServing({ signal })) !== null) return
      await collections.create(`${collection_name}-1`)
      await collections.serve(`${collection_name}-1`)
    },
    upsert: async (tenantId, spaceId, points, { signal } = {}) => {
      for (const { dense } of points) ensureDimensions(dense, dimensions)
      if (points.length === 0) return
      const serving = await getServing({ signal })
      // Whose vectors it takes has to be known as of after this write was leased, so no answer to others will do.
      const fits = serving.fits || (await collections.findServing({ timeoutMs, signal }))?.fits === true
      const written = fits ? points : points.map((point) => ({ ...point, dense: null }))
      await writePoints(connection, { collection_name, place: [tenantId, spaceId], points: written, signal })
    },
    remove: async (tenantId, spaceId, memoryIds, { signal } = {}) => {
      if (memoryIds.length > 0) await getServing({ signal })
      await removePoints(connection, { collection_name, place: [tenantId, spaceId], memoryIds, signal })
    },
    removeSpace: (tenantId, spaceId, wanted = {}) => removeSpace(connection, [tenantId, spaceId], wanted),
    search: async (tenantId, spaceId, query, { signal } = {}) => {
      ensureDimensions(query.dense, dimensions)
      const searches = toSearches([tenantId, spaceId], vectorName, query)
      if (searches.length === 0) return { dense: [], sparse: [] }
      const { fits } = await getServing({ signal })
      if (!fits && query.dense !== null)
        throw vectorIndexUnavailable('Qdrant holds vectors of another embedder; the index is being rebuilt.')
      const limits = { timeoutMs, signal }
      const ask = (init: CallInit) => api.queryBatchPoints({ collection_name, searches }, init)
      const answers = await call(ask, (result) => readSearches(result, searches), limits)
      const listOf = (name: string) => answers[searches.findIndex(({ using }) => using === name)] ?? []
      const dense = listOf(vectorName).map((hit) => ({ ...hit, score: toCosine(hit.score) }))
      return { dense, sparse: listOf(sparseName) }
    },
    list: async (tenantId, spaceId, { afterMemoryId, limit }, { signal } = {}) => {
      const place: Place = [tenantId, spaceId]
      const offset = afterMemoryId === null ? {} : { offset: pointIdOf(place, afterMemoryId) }
      const fields = { with_payload: ['memory_id', 'revision'], with_vector: false }
      const page = { filter: spaceFilter(place), limit: limit + 1, ...fields, ...offset }
      const limits = { timeoutMs, signal }
      await getServing({ signal })
      const ask = (init: CallInit) => api.scrollPoints({ collection_name, ...page }, init)
      const listed = await call(ask, (result) => readRevisions(result, page.limit), limits)
      return listed.filter(({ memoryId }) => memoryId !== afterMemoryId).slice(0, limit)
    },
    checkHealth: async ({ signal } = {}) => {
      try {
        const info = await collections.describe({ timeoutMs, signal })
        const serving = await findServing({ signal })
        if (info === null || serving === null) return { ready: false, detail: 'qdrant: there is no index yet' }
        if (!serving.fits) return { ready: false, detail: 'qdrant: the index is being rebuilt for another embedder' }
        return { ready: info.status !== 'red', detail: `qdrant: ${serving.name} is ${info.status}` }
      } catch (error) {
        if (!isAppError(error)) throw error
        return { ready: false, detail: error.detail }
      }
    },
    close: connection.close,
  }
}
