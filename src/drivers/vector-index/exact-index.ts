/**
 * The vector index without a server: a cache of PostgreSQL in typed arrays, one space for each agent that is searched.
 *
 * A space works in turns. A turn first reads what was published since the last one, then does everything that was
 * waiting when it began, one after the other. So a search sees all that was published before it was asked, searches
 * that come together share one read, several processes on one database agree, and nothing changes under a search.
 * `upsert` and `remove` check their arguments and leave the rest to the next turn: the reader is the one source of
 * change, in the order of publication, hence nothing that was removed comes back. A space that is not held starts from
 * nothing and reads everything. Spaces that were not used for long, or that make the cache larger than it may be,
 * are dropped, least recently used first; the one used last stays even if it alone is larger.
 */
import type { IndexPoint, VectorIndex } from '../../ports/vector-index.ts'
import type { Clock } from '../../shared/clock.ts'
import { inSlices, mapSteps } from '../../shared/yielding.ts'
import { searchExactly } from './exact-search.ts'
import { createExactSpace, type ExactSpace } from './exact-space.ts'
import { ensureDimensions, vectorIndexUnavailable } from './vector-index-errors.ts'

const pageSize = 500
const sweepMs = 60_000
/** Of one turn: removals are remembered for long, so reading a space again even once is rare. */
const restartsMax = 3

export type SpaceChanges = {
  /** In the order in which they were published, like the removals; a page holds no memory in both. */
  readonly points: readonly IndexPoint[]
  readonly removedMemoryIds: readonly string[]
  /** What comes after this page is asked for with it. Opaque. */
  readonly cursor: string
  readonly more: boolean
  /** Removals since the cursor that was given are forgotten: drop everything, ignore the page, read from null. */
  readonly startOver: boolean
}

export type ReadSpaceChanges = (request: {
  readonly tenantId: string
  readonly spaceId: string
  /** Null: from the beginning. */
  readonly after: string | null
  readonly limit: number
  readonly signal: AbortSignal
}) => Promise<SpaceChanges | null>

export type ExactIndexOptions = {
  readonly dimensions: number
  /** Null when there is no such space, or no longer. */
  readonly readSpaceChanges: ReadSpaceChanges
  /** Of all spaces together. */
  readonly maxBytes: number
  /** A space unused for this long is dropped. */
  readonly idleMs: number
  /** For each page. */
  readonly readTimeoutMs: number
  readonly clock: Clock
}

type Waiting = { readonly run: (space: ExactSpace) => Promise<void>; readonly fail: (error: unknown) => void }

type HeldSpace = {
  space: ExactSpace
  cursor: string | null
  bytes: number
  usedMs: number
  working: boolean
  waiting: Waiting[]
}

const newHeldSpace = (dimensions: number): HeldSpace => ({
  space: createExactSpace(dimensions),
  cursor: null,
  bytes: 0,
  usedMs: 0,
  working: false,
  waiting: [],
})

/** Where `memoryId` is or would be among the sorted ids, then one on when it is there. */
const indexAfter = (sortedIds: readonly string[], memoryId: string): number => {
  let [low, high] = [0, sortedIds.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sortedIds[middle] ?? '') <= memoryId) low = middle + 1
    else high = middle
  }
  return low
}

export const createExactIndex = (options: ExactIndexOptions): VectorIndex => {
  const { dimensions, readSpaceChanges, clock } = options
  /** In the order of last use. */
  const spaces = new Map<string, HeldSpace>()
  let heldBytes = 0

  const keyOf = (tenantId: string, spaceId: string) => JSON.stringify([tenantId, spaceId])

  const drop = (key: string): void => {
    heldBytes -= spaces.get(key)?.bytes ?? 0
    spaces.delete(key)
  }

  const dropUnused = (): void => {
    const unusedSinceMs = clock.monotonicMs() - options.idleMs
    for (const [key, { usedMs }] of spaces) {
      const isTooMuch = heldBytes > options.maxBytes && spaces.size > 1
      if (!isTooMuch && usedMs > unusedSinceMs) return
      drop(key)
    }
  }

  const use = (key: string): HeldSpace => {
    const held = spaces.get(key) ?? newHeldSpace(dimensions)
    held.usedMs = clock.monotonicMs()
    spaces.delete(key)
    spaces.set(key, held)
    return held
  }

  const startOver = (held: HeldSpace): void => {
    held.space = createExactSpace(dimensions)
    held.cursor = null
  }

  const refresh = async (held: HeldSpace, at: { tenantId: string; spaceId: string }): Promise<void> => {
    for (let restarts = 0; restarts <= restartsMax; ) {
      const signal = AbortSignal.timeout(options.readTimeoutMs)
      const changes = await readSpaceChanges({ ...at, after: held.cursor, limit: pageSize, signal })
      if (changes === null || changes.startOver) startOver(held)
      if (changes === null) return
      if (changes.startOver) {
        restarts += 1
        continue
      }
      const { space } = held
      await inSlices(mapSteps(changes.removedMemoryIds, space.remove), signal)
      await inSlices(mapSteps(changes.points, space.upsert), signal)
      held.cursor = changes.cursor
      if (!changes.more) return
    }
    throw vectorIndexUnavailable('A space of the index changes faster than it can be read.')
  }

  const runTurns = async (held: HeldSpace, at: { tenantId: string; spaceId: string }): Promise<void> => {
    const key = keyOf(at.tenantId, at.spaceId)
    held.working = true
    while (held.waiting.length > 0) {
      const served = held.waiting.splice(0)
      try {
        await refresh(held, at)
        for (const { run } of served) await run(held.space)
      } catch (error) {
        for (const { fail } of served) fail(error)
      }
      if (spaces.get(key) !== held) continue
      const bytes = held.space.bytes()
      heldBytes += bytes - held.bytes
      held.bytes = bytes
      dropUnused()
    }
    held.working = false
  }

  /** Runs `work` on the space as it is now published. Rejects at once when the signal aborts, whatever is under way. */
  const inTurn = <T>(
    at: { tenantId: string; spaceId: string },
    work: (space: ExactSpace) => T | Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      signal?.throwIfAborted()
      const abort = () => reject(signal?.reason)
      signal?.addEventListener('abort', abort, { once: true })
      const settled = () => signal?.removeEventListener('abort', abort)
      const fail = (error: unknown) => {
        settled()
        reject(error)
      }
      const run = async (space: ExactSpace) => {
        if (signal?.aborted !== true) await (async () => work(space))().then(resolve, reject)
        settled()
      }
      const held = use(keyOf(at.tenantId, at.spaceId))
      held.waiting.push({ run, fail })
      if (!held.working) void runTurns(held, at)
    })

  const sweep = setInterval(dropUnused, sweepMs).unref()

  return {
    name: 'exact',
    ensureReady: async () => {},
    upsert: async (_tenantId, _spaceId, points) => {
      for (const { dense } of points) ensureDimensions(dense, dimensions)
    },
    remove: async () => {},
    removeSpace: async (tenantId, spaceId, { signal } = {}) => {
      const key = keyOf(tenantId, spaceId)
      const before = spaces.get(key)?.space
      // Where PostgreSQL has no such space any more, what was held of it is what counts.
      const sizeOf = (space: ExactSpace) =>
        space === before || space.size() > 0 ? space.size() : (before?.size() ?? 0)
      const count = await inTurn({ tenantId, spaceId }, sizeOf, signal)
      drop(key)
      return count
    },
    search: async (tenantId, spaceId, query, { signal } = {}) => {
      ensureDimensions(query.dense, dimensions)
      return inTurn({ tenantId, spaceId }, (space) => searchExactly(space, query, signal), signal)
    },
    list: (tenantId, spaceId, { afterMemoryId, limit }, { signal } = {}) =>
      inTurn(
        { tenantId, spaceId },
        (space) => {
          const ids = space.sortedIds()
          const start = indexAfter(ids, afterMemoryId ?? '')
          return ids.slice(start, start + limit).map((memoryId) => ({ memoryId, revision: space.revisionOf(memoryId) }))
        },
        signal,
      ),
    checkHealth: async () => ({ ready: true, detail: `exact, ${spaces.size} spaces in ${heldBytes} bytes` }),
    close: async () => {
      clearInterval(sweep)
      spaces.clear()
      heldBytes = 0
    },
  }
}
