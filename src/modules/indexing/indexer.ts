/**
 * The indexer follows each agent's clock. It leases an agent whose index is behind, reads what changed in the order of
 * the revisions, writes it to the index, and moves the clock in one transaction with the term counts. A crash anywhere
 * repeats work and loses none: the index ignores older revisions, and the clock moves last. Loops run side by side: some
 * for words, which need no model and are searchable within milliseconds, and some for vectors, which wait for the
 * embedder. An agent is leased to one loop of one process at a time. Tenants take turns, each with a share of the loops, and
 * of a tenant's agents whoever was served longest ago comes first. What cannot be indexed is marked on its entry, holds
 * nobody up, and is tried again at growing intervals.
 *
 * Invariants: embedded_revision <= indexed_revision <= revision (M5); a clock moves only under a lease that still holds.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Database } from '../../ports/database.ts'
import type { Embedder } from '../../ports/embedder.ts'
import type { VectorIndex } from '../../ports/vector-index.ts'
import { giveLeaseBack } from './give-lease-back.ts'
import { type AgentLease, type IndexPhase, leaseAgent } from './index-lease.repository.ts'
import { retryFailed } from './index-retries.ts'
import type { RoundMeans } from './index-round.ts'
import { signatureOf } from './index-signature.ts'
import { indexVectors } from './index-vectors.ts'
import { indexWords } from './index-words.ts'
import { createPace } from './pace.ts'
import { createSleepers } from './sleepers.ts'
import { createTenantTurns } from './tenant-turns.ts'

const leaseMs = 60_000
/** Long rounds are of a load in bulk, and that is not to take twice as long. */
const breathMaxMs = 10
const wordsLoops = 2
const vectorLoopsDefault = 4
const embedTimeoutDefaultMs = 5_000
const retryLookMs = 5_000

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
  /** Rounds of vectors at once; one tenant has half of them at most. */
  readonly vectorLoops?: number
  /** How long an agent rests after a round that failed. */
  readonly postponeMs: number
  /** Longest wait for the vector of a short text; long ones have more. */
  readonly embedTimeoutMs?: number
}

const rounds: Readonly<Record<IndexPhase, (means: RoundMeans, lease: AgentLease) => Promise<void>>> = {
  words: indexWords,
  vectors: indexVectors,
  retries: retryFailed,
}

export const createIndexer = (options: IndexerOptions): Indexer => {
  const { database, logger, pollMs, restMs, postponeMs, vectorLoops = vectorLoopsDefault } = options
  const signature = signatureOf(options)
  const stopped = new AbortController()
  const sleepers = createSleepers(pollMs)
  const loops: Promise<void>[] = []
  const vectorTurns = createTenantTurns({ shareMax: Math.ceil(vectorLoops / 2) })
  const turns = { words: createTenantTurns({ shareMax: 1 }), vectors: vectorTurns, retries: vectorTurns }

  const means: RoundMeans = {
    ...options,
    embedTimeoutMs: options.embedTimeoutMs ?? embedTimeoutDefaultMs,
    pace: createPace(),
    createSignal: (timeoutMs) => AbortSignal.any([stopped.signal, AbortSignal.timeout(timeoutMs)]),
    onSlow: vectorTurns.noteSlow,
    hasStopped: () => stopped.signal.aborted,
  }

  /** True when an agent was served. */
  const runRound = async (phase: IndexPhase): Promise<boolean> => {
    const lease = await turns[phase].take((turn) =>
      database.transactAsSystem((tx) => leaseAgent(tx, { leaseMs, phase, signature, ...turn })),
    )
    if (lease === null) return false
    sleepers.wakeOne(phase)
    try {
      await rounds[phase](means, lease)
    } catch (error) {
      if (!stopped.signal.aborted)
        logger.warn({ err: error, agentId: lease.agentId, phase }, 'an agent could not be indexed now')
      await giveLeaseBack(database, lease, { leaseMs, delayMs: postponeMs, stopped: stopped.signal })
    } finally {
      turns[phase].end(lease.tenantId)
    }
    return true
  }

  /** As long as a short round took, so that requests go before the indexer while writes come one by one. */
  const breathe = (tookMs: number) => (restMs === 0 ? Promise.resolve() : delay(Math.min(tookMs, breathMaxMs)))

  let isWaking = false

  const wakeNow = () => {
    isWaking = false
    sleepers.wakeOne('words')
    sleepers.wakeOne('vectors')
  }

  /** Twice the rest later, when the agent that was written to has rested too: one look for all writes until then. */
  const wake = () => {
    if (isWaking) return
    isWaking = true
    setTimeout(wakeNow, 2 * restMs)
  }

  /** Only the first loop of a phase looks by itself; it wakes another when there was something, and that the next. */
  const runLoop = async (phase: 'words' | 'vectors', nth: number): Promise<void> => {
    let retriesLookedMs = performance.now()
    while (!stopped.signal.aborted) {
      const startedMs = performance.now()
      const isRetryTime = phase === 'vectors' && nth === 0 && startedMs - retriesLookedMs > retryLookMs
      if (isRetryTime) retriesLookedMs = startedMs
      const served = await runRound(isRetryTime ? 'retries' : phase).catch((error: unknown) => {
        logger.warn({ err: error, phase }, 'the indexer could not look at the clocks')
        return false
      })
      if (served && phase === 'words') wake()
      if (served) await breathe(performance.now() - startedMs)
      if (!served && !isRetryTime && !stopped.signal.aborted) await sleepers.sleep(phase, { isFirst: nth === 0 })
    }
  }

  return {
    start: () => {
      for (let nth = 0; nth < wordsLoops; nth += 1) loops.push(runLoop('words', nth))
      for (let nth = 0; nth < vectorLoops; nth += 1) loops.push(runLoop('vectors', nth))
    },
    wake,
    drain: async () => {
      while ((await runRound('words')) || (await runRound('vectors')) || (await runRound('retries')));
    },
    stop: async () => {
      stopped.abort()
      sleepers.wakeAll()
      await Promise.all(loops)
    },
  }
}
