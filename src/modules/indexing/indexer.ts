/**
 * The indexer follows each agent's clock. It leases an agent whose index is behind, reads what changed in the order of
 * the revisions, writes it to the index, and moves the clock in one transaction with the term counts. A crash anywhere
 * repeats work and loses none: the index ignores older revisions, and the clock moves last. Two loops run side by side:
 * one for words, which need no model and are searchable within milliseconds, and one for vectors, which wait for the
 * embedder. An agent is leased to one loop of one process at a time, and whoever was served longest ago comes first, so
 * a big agent cannot starve small ones. What the embedder refuses is marked on its entry and holds nobody up.
 *
 * Invariants: embedded_revision <= indexed_revision <= revision (M5); a clock moves only under a lease that still holds.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Database } from '../../ports/database.ts'
import type { Embedder } from '../../ports/embedder.ts'
import type { VectorIndex } from '../../ports/vector-index.ts'
import { inSlices, mapSteps } from '../../shared/yielding.ts'
import { embedRows } from './embed-rows.ts'
import { giveLeaseBack } from './give-lease-back.ts'
import { readChangedMemories, readRemovedIds, readUnembedded } from './index.repository.ts'
import { type AgentLease, advanceClock, type IndexPhase, leaseAgent, readClock } from './index-lease.repository.ts'
import { encodeVector, indexPointOf, indexPointsOf } from './index-point.ts'
import {
  beginPublication,
  forgetRemovals,
  type PublishedVector,
  publishRemovals,
  publishVectors,
  publishWords,
} from './index-publish.repository.ts'
import { signatureOf } from './index-signature.ts'
import { rowsPerPage, wholeRevisions } from './whole-revisions.ts'

const leaseMs = 60_000
const callTimeoutMs = 30_000
const vectorsPerRound = 32
const postponeMs = 2_000
/** Long rounds are of a load in bulk, and that is not to take twice as long. */
const breathMaxMs = 10
const publicationsRemembered = 1_000

export type Indexer = {
  start(): void
  /** Something was written: look now instead of at the next poll. */
  wake(): void
  /** Works until no agent is behind that can be served now. */
  drain(): Promise<void>
  stop(): Promise<void>
}

export type IndexerOptions = {
  readonly database: Database
  readonly vectorIndex: VectorIndex
  readonly embedder: Embedder
  readonly logger: Logger
  /** Longest wait between looks at the clocks, for what other processes wrote. */
  readonly pollMs: number
  /**
   * How long an agent rests once it has caught up, so that writes which come one by one are indexed together. Searches see
   * them meanwhile all the same. 0: not at all.
   */
  readonly restMs: number
}

export const createIndexer = ({ database, vectorIndex, embedder, logger, pollMs, restMs }: IndexerOptions): Indexer => {
  const signature = signatureOf({ vectorIndex, embedder })
  const stopped = new AbortController()
  const sleepers = new Set<() => void>()
  const loops: Promise<void>[] = []

  const callSignal = () => AbortSignal.any([stopped.signal, AbortSignal.timeout(callTimeoutMs)])

  const readWords = (lease: AgentLease) =>
    database.transact(lease.tenantId, async (tx) => {
      const { agentId } = lease
      const clock = await readClock(tx, lease)
      if (clock === null) return null
      const afterRevision = clock.indexedRevision
      const changed = await readChangedMemories(tx, {
        agentId,
        afterRevision,
        model: embedder.model,
        limit: rowsPerPage,
      })
      const rows = wholeRevisions(changed)
      const upToRevision = rows.length < changed.length ? (rows.at(-1)?.revision ?? clock.revision) : clock.revision
      const removed = await readRemovedIds(tx, { agentId, afterRevision, upToRevision })
      return { rows, removed, upToRevision, isEnd: upToRevision === clock.revision }
    })

  const indexWords = async (lease: AgentLease): Promise<void> => {
    const { tenantId, agentId, spaceId } = lease
    const read = await readWords(lease)
    if (read === null) return
    const points = await indexPointsOf(read.rows, stopped.signal)
    if (read.removed.length > 0) await vectorIndex.remove(tenantId, spaceId, read.removed, { signal: callSignal() })
    if (points.length > 0) await vectorIndex.upsert(tenantId, spaceId, points, { signal: callSignal() })
    const words = points.map(({ memoryId, revision, sparse }) => ({
      memory_id: memoryId,
      revision,
      term_ids: sparse.indices,
    }))
    await database.transact(tenantId, async (tx) => {
      const begun = await beginPublication(tx, lease)
      if (begun === null) return
      const { publication } = begun
      if (read.removed.length > 0) await publishRemovals(tx, { agentId, memoryIds: read.removed, publication })
      if (words.length > 0) await publishWords(tx, { agentId, words, publication })
      if (publication % 100 === 0)
        await forgetRemovals(tx, { agentId, upToPublication: publication - publicationsRemembered })
      await advanceClock(tx, { agentId, phase: 'words', revision: read.upToRevision, restMs: read.isEnd ? restMs : 0 })
    })
  }

  const publishEmbedded = async (
    lease: AgentLease,
    { vectors, revision, isEnd }: { vectors: readonly PublishedVector[]; revision: number; isEnd: boolean },
  ): Promise<void> => {
    await database.transact(lease.tenantId, async (tx) => {
      const begun = await beginPublication(tx, lease)
      if (begun === null) return
      const { agentId } = lease
      if (vectors.length > 0)
        await publishVectors(tx, { agentId, model: embedder.model, vectors, publication: begun.publication })
      await advanceClock(tx, { agentId, phase: 'vectors', revision, restMs: isEnd ? restMs : 0 })
    })
  }

  const indexVectors = async (lease: AgentLease): Promise<void> => {
    const { tenantId, agentId, spaceId } = lease
    const read = await database.transact(tenantId, async (tx) => {
      const clock = await readClock(tx, lease)
      if (clock === null) return null
      const afterRevision = clock.embeddedRevision
      const rows = await readUnembedded(tx, { agentId, afterRevision, model: embedder.model, limit: vectorsPerRound })
      return { rows, indexedRevision: clock.indexedRevision }
    })
    if (read === null) return
    const rows = read.rows.filter((row) => row.revision <= read.indexedRevision)
    const embedded = rows.length === 0 ? [] : await embedRows(rows, { embedder, createSignal: callSignal })
    const pointsOf = mapSteps(rows, (row, at) => {
      const vector = embedded[at]
      return vector instanceof Float32Array ? [indexPointOf(row, vector)] : []
    })
    const points = (await inSlices(pointsOf, stopped.signal)).flat()
    if (points.length > 0) await vectorIndex.upsert(tenantId, spaceId, points, { signal: callSignal() })
    const vectors = rows.map((row, at): PublishedVector => {
      const vector = embedded[at]
      const failed = !(vector instanceof Float32Array)
      if (failed) logger.error({ agentId, memoryId: row.memory_id, err: vector }, 'the embedder refused a memory')
      return {
        memoryId: row.memory_id,
        contentRevision: row.content_revision,
        embedding: failed ? null : encodeVector(vector),
        error: failed ? String(vector?.message ?? 'no vector') : null,
      }
    })
    const last = read.rows.at(-1)
    const isEnd = read.rows.length < vectorsPerRound || last === undefined
    await publishEmbedded(lease, { vectors, revision: isEnd ? read.indexedRevision : last.revision - 1, isEnd })
  }

  /** True when an agent was served. */
  const runRound = async (phase: IndexPhase): Promise<boolean> => {
    const lease = await database.transactAsSystem((tx) => leaseAgent(tx, { leaseMs, phase, signature }))
    if (lease === null) return false
    try {
      await (phase === 'words' ? indexWords(lease) : indexVectors(lease))
    } catch (error) {
      if (!stopped.signal.aborted)
        logger.warn({ err: error, agentId: lease.agentId, phase }, 'an agent could not be indexed now')
      await giveLeaseBack(database, lease, { leaseMs, delayMs: postponeMs, stopped: stopped.signal })
    }
    return true
  }

  const sleep = () =>
    new Promise<void>((resolve) => {
      const awake = () => {
        clearTimeout(timer)
        sleepers.delete(awake)
        resolve()
      }
      const timer = setTimeout(awake, pollMs)
      sleepers.add(awake)
    })

  /** As long as a short round took, so that requests go before the indexer while writes come one by one. */
  const breathe = (tookMs: number) => (restMs === 0 ? Promise.resolve() : delay(Math.min(tookMs, breathMaxMs)))

  let isWaking = false

  const wakeNow = () => {
    isWaking = false
    for (const awake of [...sleepers]) awake()
  }

  /** Twice the rest later, when the agent that was written to has rested too: one look for all writes until then. */
  const wake = () => {
    if (isWaking) return
    isWaking = true
    setTimeout(wakeNow, 2 * restMs)
  }

  const runLoop = async (phase: IndexPhase): Promise<void> => {
    while (!stopped.signal.aborted) {
      const startedMs = performance.now()
      const served = await runRound(phase).catch((error: unknown) => {
        logger.warn({ err: error, phase }, 'the indexer could not look at the clocks')
        return false
      })
      if (served && phase === 'words') wake()
      if (served) await breathe(performance.now() - startedMs)
      if (!served && !stopped.signal.aborted) await sleep()
    }
  }

  return {
    start: () => {
      loops.push(runLoop('words'), runLoop('vectors'))
    },
    wake,
    drain: async () => {
      while ((await runRound('words')) || (await runRound('vectors')));
    },
    stop: async () => {
      stopped.abort()
      wakeNow()
      await Promise.all(loops)
    },
  }
}
