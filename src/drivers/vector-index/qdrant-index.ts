/**
 * The vector index in a Qdrant server (1.16 or later). Every request names the tenant and the space in its filter, also
 * those that name points by id. That filter is this driver's only guard: a server that lost it would answer with ids of
 * others, and it is PostgreSQL that then gives out no text for them, by row level security (T2).
 *
 * A search leaves it to the server whether to compare every vector or walk a graph: it compares when a filter leaves few
 * (about 5,000 of 512 dimensions), which is exact, and `hnsw_ef` makes the walk a wide one. Which of several hits with
 * one score make it into a full list is the server's choice.
 */
import { QdrantClient } from '@qdrant/js-client-rest'
import type { Logger } from 'pino'
import type { VectorIndex } from '../../ports/vector-index.ts'
import type { Clock } from '../../shared/clock.ts'
import { isAppError } from '../../shared/errors.ts'
import { createQdrantCall, type QdrantCall, statusOf, untilAborted } from './qdrant-call.ts'
import { aliasNameOf, createCollection } from './qdrant-collection.ts'
import {
  denseName,
  pointIdOf,
  spaceFilter,
  sparseName,
  toHits,
  toRevision,
  toSearches,
  toUpsert,
} from './qdrant-points.ts'
import { ensureDimensions } from './vector-index-errors.ts'

const pointsPerRequestMax = 256
/** About 21 bytes each as JSON, and the server takes 32 MiB a request. */
const numbersPerRequestMax = 1_000_000
const removalsPerRequest = 1_000

export type QdrantIndexOptions = {
  /** With the path under which it is reached, if any. Without a port: 6333. */
  readonly url: string
  readonly apiKey: string | null
  /** Begins the name of everything the driver makes. */
  readonly collectionPrefix: string
  readonly model: string
  readonly dimensions: number
  /** For each request that reads. */
  readonly timeoutMs: number
  /** For each request that writes. */
  readonly writeTimeoutMs: number
  readonly clock: Clock
  readonly logger: Logger
}

type Wanted = { readonly signal?: AbortSignal | undefined }

const slicesOf = <T>(items: readonly T[], size: number): readonly (readonly T[])[] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, at) => items.slice(at * size, (at + 1) * size))

/**
 * The key goes as a header, since as an option it makes the client print a warning over http; answers are asked for
 * uncompressed, since the server sends compressed ones in two pieces of which the second waits for an acknowledgement;
 * deadlines come as signals, which the client takes only without one of its own.
 */
const createClient = ({ url, apiKey }: QdrantIndexOptions): QdrantClient => {
  const { pathname } = new URL(url)
  const hasPort = /^https?:\/\/[^/]*:\d+/.test(url)
  return new QdrantClient({
    url: new URL(url).origin,
    port: hasPort ? null : 6333,
    prefix: pathname.replace(/\/+$/, ''),
    timeout: Number.POSITIVE_INFINITY,
    checkCompatibility: false,
    headers: { 'accept-encoding': 'identity', ...(apiKey === null ? {} : { 'api-key': apiKey }) },
  })
}

export const createQdrantIndex = (options: QdrantIndexOptions): VectorIndex => {
  const { dimensions, timeoutMs, writeTimeoutMs } = options
  const client = createClient(options)
  const api = client.api()
  const rawCall = createQdrantCall(options)
  const aliasName = aliasNameOf(options.collectionPrefix, options)
  const collection_name = aliasName
  const collection = createCollection({ client, call: rawCall, aliasName, dimensions })
  let ready: Promise<void> | null = null

  /** The first use of the collection makes it, whoever comes first; it lasts until the server has lost it. */
  const ensureReady = async ({ signal }: Wanted = {}): Promise<void> => {
    ready ??= collection.ensureReady({ timeoutMs, writeTimeoutMs }).catch((error: unknown) => {
      ready = null
      throw error
    })
    await untilAborted(ready, signal)
  }

  const call: QdrantCall = async (exchange, limits) => {
    await ensureReady(limits)
    return rawCall(exchange, limits).catch((error: unknown) => {
      if (isAppError(error) && statusOf(error.cause) === 404) ready = null
      throw error
    })
  }

  return {
    name: 'qdrant',
    ensureReady,
    upsert: async (tenantId, spaceId, points, { signal } = {}) => {
      for (const { dense } of points) ensureDimensions(dense, dimensions)
      const size = Math.max(1, Math.min(pointsPerRequestMax, Math.floor(numbersPerRequestMax / dimensions)))
      for (const slice of slicesOf(points, size)) {
        const body = toUpsert(tenantId, spaceId, slice)
        const limits = { timeoutMs: writeTimeoutMs, signal }
        await call((init) => api.upsertPoints({ collection_name, wait: true, ...body }, init), limits)
      }
    },
    remove: async (tenantId, spaceId, memoryIds, { signal } = {}) => {
      for (const slice of slicesOf(memoryIds, removalsPerRequest)) {
        const filter = spaceFilter(tenantId, spaceId, [{ has_id: slice.map(pointIdOf) }])
        const limits = { timeoutMs: writeTimeoutMs, signal }
        await call((init) => api.deletePoints({ collection_name, wait: true, filter }, init), limits)
      }
    },
    removeSpace: async (tenantId, spaceId, { signal } = {}) => {
      const filter = spaceFilter(tenantId, spaceId)
      const limits = { timeoutMs: writeTimeoutMs, signal }
      const { count } = await call((init) => api.countPoints({ collection_name, filter, exact: true }, init), limits)
      await call((init) => api.deletePoints({ collection_name, wait: true, filter }, init), limits)
      return count
    },
    search: async (tenantId, spaceId, query, { signal } = {}) => {
      ensureDimensions(query.dense, dimensions)
      const searches = toSearches(tenantId, spaceId, query)
      if (searches.length === 0) return { dense: [], sparse: [] }
      const limits = { timeoutMs, signal }
      const answers = await call((init) => api.queryBatchPoints({ collection_name, searches }, init), limits)
      const listOf = (name: string) => toHits(answers[searches.findIndex(({ using }) => using === name)]?.points ?? [])
      return { dense: listOf(denseName), sparse: listOf(sparseName) }
    },
    list: async (tenantId, spaceId, { afterMemoryId, limit }, { signal } = {}) => {
      const filter = spaceFilter(tenantId, spaceId)
      const offset = afterMemoryId === null ? {} : { offset: pointIdOf(afterMemoryId) }
      const page = { filter, limit: limit + 1, with_payload: ['revision'], with_vector: false, ...offset }
      const limits = { timeoutMs, signal }
      const { points } = await call((init) => api.scrollPoints({ collection_name, ...page }, init), limits)
      const listed = points.map(toRevision)
      return listed.filter(({ memoryId }) => memoryId !== afterMemoryId).slice(0, limit)
    },
    checkHealth: async ({ signal } = {}) => {
      try {
        const info = await collection.find({ timeoutMs, signal })
        if (info === null) return { ready: false, detail: `qdrant: there is no collection ${aliasName}` }
        return { ready: info.status !== 'red', detail: `qdrant: ${aliasName} is ${info.status}` }
      } catch (error) {
        if (!isAppError(error)) throw error
        return { ready: false, detail: error.detail }
      }
    },
    close: async () => {},
  }
}
