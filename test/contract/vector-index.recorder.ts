/** Remembers what was written to each space, in order, and hands it out as the database hands out what was published. */
import type { ReadSpaceChanges } from '../../src/drivers/vector-index/exact-index.ts'
import type { IndexPoint, VectorIndex } from '../../src/ports/vector-index.ts'

type Change = { readonly point: IndexPoint } | { readonly removedMemoryId: string }

export type SpaceRecorder = {
  readonly readSpaceChanges: ReadSpaceChanges
  /** The index, with what it is told recorded. */
  record(index: VectorIndex): VectorIndex
  add(tenantId: string, spaceId: string, changes: readonly Change[]): void
  forget(tenantId: string, spaceId: string): void
}

export const createSpaceRecorder = (): SpaceRecorder => {
  const logs = new Map<string, Change[]>()
  const keyOf = (tenantId: string, spaceId: string) => `${tenantId}/${spaceId}`

  const add: SpaceRecorder['add'] = (tenantId, spaceId, changes) => {
    const key = keyOf(tenantId, spaceId)
    logs.set(key, [...(logs.get(key) ?? []), ...changes])
  }
  const forget: SpaceRecorder['forget'] = (tenantId, spaceId) => {
    logs.delete(keyOf(tenantId, spaceId))
  }

  return {
    add,
    forget,
    readSpaceChanges: async ({ tenantId, spaceId, after, limit }) => {
      const log = logs.get(keyOf(tenantId, spaceId))
      if (log === undefined) return null
      const rest = log.slice(Number(after ?? 0))
      const isRemoval = (change: Change | undefined) => change !== undefined && 'removedMemoryId' in change
      const turn = rest.findIndex((change) => isRemoval(change) !== isRemoval(rest[0]))
      const page = rest.slice(0, turn < 0 ? limit : Math.min(turn, limit))
      return {
        points: page.flatMap((change) => ('point' in change ? [change.point] : [])),
        removedMemoryIds: page.flatMap((change) => ('point' in change ? [] : [change.removedMemoryId])),
        cursor: String(Number(after ?? 0) + page.length),
        more: page.length < rest.length,
        startOver: false,
      }
    },
    record: (index) => ({
      ...index,
      upsert: async (tenantId, spaceId, points, options) => {
        await index.upsert(tenantId, spaceId, points, options)
        add(
          tenantId,
          spaceId,
          points.map((point) => ({ point })),
        )
      },
      remove: async (tenantId, spaceId, memoryIds, options) => {
        await index.remove(tenantId, spaceId, memoryIds, options)
        add(
          tenantId,
          spaceId,
          memoryIds.map((removedMemoryId) => ({ removedMemoryId })),
        )
      },
      removeSpace: async (tenantId, spaceId, options) => {
        const count = await index.removeSpace(tenantId, spaceId, options)
        forget(tenantId, spaceId)
        return count
      },
    }),
  }
}
