/** What changes points: in the collection that serves, in one under construction, or in all of them. */
import type { IndexPoint, IndexRebuilding } from '../../ports/vector-index.ts'
import { readCount, readWritten, unreadable } from './qdrant-answers.ts'
import type { CallInit } from './qdrant-call.ts'
import type { Connection, Wanted } from './qdrant-connection.ts'
import { type Place, pointIdOf, spaceFilter, toUpsert } from './qdrant-points.ts'

const pointsPerRequestMax = 256
/** About 21 bytes each as JSON, and the server takes 32 MiB a request. */
const numbersPerRequestMax = 1_000_000
const removalsPerRequest = 1_000

const slicesOf = <T>(items: readonly T[], size: number): readonly (readonly T[])[] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, at) => items.slice(at * size, (at + 1) * size))

export const writePoints = async (
  { api, call, vectorName, dimensions, writeTimeoutMs }: Connection,
  {
    collection_name,
    place,
    points,
    signal,
  }: Wanted & {
    readonly collection_name: string
    readonly place: Place
    readonly points: readonly IndexPoint[]
  },
): Promise<void> => {
  const size = Math.max(1, Math.min(pointsPerRequestMax, Math.floor(numbersPerRequestMax / dimensions)))
  for (const slice of slicesOf(points, size)) {
    const body = toUpsert(place, vectorName, slice)
    const limits = { timeoutMs: writeTimeoutMs, signal }
    await call((init) => api.upsertPoints({ collection_name, wait: true, ...body }, init), readWritten, limits)
  }
}

export const removePoints = async (
  { api, call, writeTimeoutMs }: Connection,
  {
    collection_name,
    place,
    memoryIds,
    signal,
  }: Wanted & {
    readonly collection_name: string
    readonly place: Place
    readonly memoryIds: readonly string[]
  },
): Promise<void> => {
  for (const slice of slicesOf(memoryIds, removalsPerRequest)) {
    const filter = spaceFilter(place, [{ has_id: slice.map((memoryId) => pointIdOf(place, memoryId)) }])
    const limits = { timeoutMs: writeTimeoutMs, signal }
    await call((init) => api.deletePoints({ collection_name, wait: true, filter }, init), readWritten, limits)
  }
}

/** From all collections; answers how many points the one that serves held. */
export const removeSpace = async (
  { api, call, collections, findServing, writeTimeoutMs, timeoutMs }: Connection,
  place: Place,
  { signal }: Wanted,
): Promise<number> => {
  const filter = spaceFilter(place)
  const serving = await findServing({ signal })
  const limits = { timeoutMs: writeTimeoutMs, signal }
  let served = 0
  const names = await collections.list({ timeoutMs, signal })
  // Else the space would count as removed from a collection that was never looked at.
  if (serving !== null && !names.includes(serving.name)) throw unreadable('collections without the one that serves')
  for (const collection_name of names) {
    const ask = (init: CallInit) => api.countPoints({ collection_name, filter, exact: true }, init)
    const count = await call(ask, readCount, limits)
    if (collection_name === serving?.name) served = count
    if (count > 0)
      await call((init) => api.deletePoints({ collection_name, wait: true, filter }, init), readWritten, limits)
  }
  return served
}

export const createRebuilding = (connection: Connection): IndexRebuilding => {
  const { collections, forget, aliasName } = connection
  return {
    nameFor: (id) => `${aliasName}-${id}`,
    findServing: ({ signal } = {}) => {
      forget()
      return connection.findServing({ signal })
    },
    create: collections.create,
    into: (collection_name) => ({
      upsert: (tenantId, spaceId, points, { signal } = {}) =>
        writePoints(connection, { collection_name, place: [tenantId, spaceId], points, signal }),
      remove: (tenantId, spaceId, memoryIds, { signal } = {}) =>
        removePoints(connection, { collection_name, place: [tenantId, spaceId], memoryIds, signal }),
    }),
    serve: async (name) => {
      await collections.serve(name)
      forget()
    },
    drop: collections.drop,
  }
}
