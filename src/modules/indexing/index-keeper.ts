/**
 * Keeps the index that searches are answered from the one that the clocks speak of, and builds it anew where asked, by
 * another embedder, or where it was lost. Where the index is a cache of PostgreSQL, starting the clocks over is all.
 *
 * Of all processes one is the keeper, by a lease; the names of all collections stand in PostgreSQL before they are made.
 * Each round looks at what serves:
 * - nothing, or something else than the clocks speak of: an empty index takes its place, after the clocks were started
 *   over, so that no search believes them about an index that is empty;
 * - another embedder's, or a rebuild was asked for: one is built beside it (`built_revision` is its clock), while words
 *   go on to be written to the one that serves;
 * - one that was built holds what was there when it was begun and nearly all since: the clocks are set back to what it holds, it is swapped in, the leases are given
 *   free. What came between is written to it by the indexer as anything new is, and searches score it meanwhile.
 * A crash anywhere leaves what the next round takes up: what serves is compared with what is recorded, and setting the
 * clocks back is safe to repeat.
 */
import type { Logger } from 'pino'
import type { Database, SystemTransaction } from '../../ports/database.ts'
import type { Embedder } from '../../ports/embedder.ts'
import type { IndexRebuilding, ServingIndex, VectorIndex } from '../../ports/vector-index.ts'
import type { CreateId } from '../../shared/ids.ts'
import {
  adoptBuild,
  beginBuild,
  isBuildReady,
  listAgentClocks,
  releaseLeases,
  restartClocks,
  restartVectors,
} from './clocks.repository.ts'
import { buildAgent } from './index-build.ts'
import { createLoop } from './index-loop.ts'
import { isOtherKind, signatureOf } from './index-signature.ts'
import {
  claimIndex,
  type IndexState,
  recordBuild,
  recordDropped,
  recordFounding,
  recordRebuildWanted,
  recordSwap,
  releaseKeeping,
  takeKeeping,
} from './index-state.repository.ts'

const leaseMs = 60_000
/** No agent is leased while a swap is under way; ends by itself should the process die in it. */
const pauseMs = 30_000
const callTimeoutMs = 20_000
const pageSize = 500
/** At most 500 memories each, so a search scores in the request what a swap leaves out. */
const swapLagMax = 8

export type IndexKeeper = {
  /** Once, at the start: from now on the clocks speak of this index and embedder. Finds or makes what serves, if it can. */
  prepare(): Promise<void>
  /** One look, and what follows from it. Does nothing where another process keeps the index. */
  runOnce(): Promise<void>
  /** Asks for all of the index to be built anew; answers how many agents that is. */
  rebuild(): Promise<number>
  start(): void
  stop(): Promise<void>
}

export type IndexKeeperOptions = {
  readonly database: Database
  readonly vectorIndex: VectorIndex
  readonly embedder: Embedder
  readonly createId: CreateId
  readonly logger: Logger
  readonly intervalMs: number
  /** The clocks have changed: there may be work for the indexer. */
  readonly onChange: () => void
}

export const createIndexKeeper = (options: IndexKeeperOptions): IndexKeeper => {
  const { database, vectorIndex, embedder, createId, logger, onChange } = options
  const signature = signatureOf(options)
  const keeper = createId('idx')
  const stopped = new AbortController()
  const asSystem = <T>(work: (tx: SystemTransaction) => Promise<T>) => database.transactAsSystem(work)
  const createSignal = () => AbortSignal.any([stopped.signal, AbortSignal.timeout(callTimeoutMs)])
  const keep = () => asSystem((tx) => takeKeeping(tx, { keeper, signature, leaseMs }))

  /** An empty index takes the place of what is lost or unknown. */
  const found = async (rebuilding: IndexRebuilding): Promise<void> => {
    const name = rebuilding.nameFor(createId('idx'))
    const agents = await asSystem(async (tx) => {
      await recordFounding(tx, name)
      return restartClocks(tx, pauseMs)
    })
    await rebuilding.create(name)
    await rebuilding.serve(name)
    await asSystem(releaseLeases)
    if (agents > 0)
      logger.warn({ agents, collection: name }, 'the index was lost or is new; it is filled from PostgreSQL')
    onChange()
  }

  const ensureBuilding = async (building: string): Promise<void> => {
    stopped.signal.throwIfAborted()
    if ((await keep())?.building !== building) throw new Error('the index under construction was given up')
  }

  const buildAll = async (rebuilding: IndexRebuilding, building: string): Promise<void> => {
    const build = {
      ...{ database, vectorIndex, building, model: embedder.model, createSignal },
      into: rebuilding.into(building),
      ensureStillOurs: () => ensureBuilding(building),
    }
    for (let after: readonly [string, string] = ['', '']; ; ) {
      const from = after
      const agents = await asSystem((tx) => listAgentClocks(tx, { after: from, limit: pageSize }))
      for (const agent of agents)
        if (agent.built_revision < Math.min(agent.indexed_revision, agent.embedded_revision))
          await buildAgent(build, { tenantId: agent.tenant_id, agentId: agent.agent_id, spaceId: agent.space_id })
      const last = agents.at(-1)
      if (last === undefined || agents.length < pageSize) return
      after = [last.tenant_id, last.agent_id]
    }
  }

  const finishSwap = async (building: string): Promise<void> => {
    await asSystem(async (tx) => {
      await recordSwap(tx)
      await adoptBuild(tx, 0)
      await releaseLeases(tx)
    })
    logger.info({ collection: building }, 'the index that was built serves now')
    onChange()
  }

  const swap = async (rebuilding: IndexRebuilding, building: string): Promise<void> => {
    await ensureBuilding(building)
    await asSystem((tx) => adoptBuild(tx, pauseMs))
    await rebuilding.serve(building)
    await finishSwap(building)
  }

  const beginBuilding = async (rebuilding: IndexRebuilding, { fits }: ServingIndex): Promise<string> => {
    const building = rebuilding.nameFor(createId('idx'))
    await asSystem(async (tx) => {
      await recordBuild(tx, building)
      await beginBuild(tx, { isForOther: !fits })
    })
    logger.info({ collection: building }, 'an index is built beside the one that serves')
    return building
  }

  const continueBuilding = async (
    rebuilding: IndexRebuilding,
    { state, serving }: { state: IndexState; serving: ServingIndex },
  ): Promise<void> => {
    const isWanted = state.isRebuildWanted || !serving.fits
    if (state.building === null && !isWanted) return
    const building = state.building ?? (await beginBuilding(rebuilding, serving))
    await rebuilding.create(building)
    await buildAll(rebuilding, building)
    const isReady = await asSystem((tx) => isBuildReady(tx, { isForOther: !serving.fits, lagMax: swapLagMax }))
    if (isReady) await swap(rebuilding, building)
  }

  const dropRetired = async (rebuilding: IndexRebuilding, { retired, serving, building }: IndexState) => {
    for (const name of retired) {
      if (name !== serving && name !== building) await rebuilding.drop(name)
      await asSystem((tx) => recordDropped(tx, name))
    }
  }

  /** Sees to it that what serves is what the clocks speak of; null where that took a change or is for another to do. */
  const settle = async (rebuilding: IndexRebuilding) => {
    const state = await keep()
    if (state === null) return null
    const serving = await rebuilding.findServing({ signal: createSignal() })
    const isAsRecorded = serving !== null && serving.name === state.serving
    if (serving !== null && isAsRecorded) return { state, serving }
    if (serving !== null && serving.name === state.building) await finishSwap(serving.name)
    else await found(rebuilding)
    return null
  }

  const runOnce = async (): Promise<void> => {
    const { rebuilding } = vectorIndex
    const settled = rebuilding === undefined ? null : await settle(rebuilding)
    if (rebuilding === undefined || settled === null) return
    await dropRetired(rebuilding, settled.state)
    await continueBuilding(rebuilding, settled)
  }

  const claim = async (): Promise<void> => {
    const agents = await asSystem(async (tx) => {
      const claimed = await claimIndex(tx, signature)
      if (claimed === null) return 0
      const isOther = claimed.before === null || isOtherKind(claimed.before, signature)
      return isOther ? restartClocks(tx, 0) : restartVectors(tx)
    })
    if (agents > 0) logger.info({ agents, signature }, 'the index or embedder is another one; it is filled anew')
  }

  const loop = createLoop({ stopped: stopped.signal, intervalMs: options.intervalMs, logger, runOnce })

  return {
    prepare: async () => {
      await claim()
      if (vectorIndex.rebuilding === undefined) return vectorIndex.ensureReady()
      await settle(vectorIndex.rebuilding).catch((error: unknown) => {
        logger.warn({ err: error }, 'the vector index is not ready; searches go on without it')
      })
    },
    runOnce,
    rebuild: async () => {
      const agents = await asSystem((tx) =>
        vectorIndex.rebuilding === undefined ? restartClocks(tx, 0) : recordRebuildWanted(tx),
      )
      onChange()
      loop.wake()
      return agents
    },
    start: loop.start,
    stop: async () => {
      stopped.abort()
      await loop.stop()
      // Where the database is away, the lease ends by itself.
      await asSystem((tx) => releaseKeeping(tx, keeper)).catch(() => undefined)
    },
  }
}
