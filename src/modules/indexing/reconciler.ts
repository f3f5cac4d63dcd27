/**
 * Compares PostgreSQL and the vector index in both directions, agent by agent: what the index lacks or holds at another
 * revision, and what it holds that PostgreSQL does not have. Agents whose index is behind their clock are left out, as
 * they are about to change; those that the index cannot be read of are left out too, since what is not known is not
 * missing. A repair starts the damaged agents' clocks over and removes the orphans. A run has its time; where it ends
 * before the last agent, it says where to go on.
 */
import type { Logger } from 'pino'
import type { Database } from '../../ports/database.ts'
import type { VectorIndex } from '../../ports/vector-index.ts'
import type { Clock } from '../../shared/clock.ts'
import { isAppError } from '../../shared/errors.ts'
import { decodeCursor, encodeCursor } from '../../shared/page.ts'
import { type AgentClockRow, listAgentClocks } from './clocks.repository.ts'
import { listIndexedRevisions } from './index.repository.ts'
import { restartClock } from './index-lease.repository.ts'
import { readIsRebuilding } from './index-state.repository.ts'

export type ConsistencyReport = {
  readonly agentsChecked: number
  readonly agentsBehind: number
  /** Left out: the index did not answer, or with what cannot be read. */
  readonly agentsUnreadable: number
  readonly memoriesChecked: number
  readonly missingInIndex: number
  readonly outdatedInIndex: number
  readonly orphanedInIndex: number
  /** Is what was compared the same on both sides? */
  readonly consistent: boolean
  /** Was every agent compared? */
  readonly complete: boolean
  /** Is an index built beside the one that serves, or asked for? */
  readonly rebuilding: boolean
  /** Where the next run begins; null: this one came to the end. */
  readonly nextCursor: string | null
}

export type RepairReport = ConsistencyReport & {
  /** Their clocks were started over: the indexer writes all of theirs to the index again. */
  readonly agentsRestarted: number
  readonly orphansRemoved: number
}

type Difference = {
  readonly missing: number
  readonly outdated: number
  readonly orphans: readonly string[]
  readonly checked: number
}

const pageSize = 500
const cursorList = 'consistency'

export type ReconcilerOptions = {
  readonly database: Database
  readonly vectorIndex: VectorIndex
  readonly logger: Logger
  readonly clock: Clock
  /** There is work for the indexer. */
  readonly onRepair: () => void
  /** Of one run: no agent is begun after it. */
  readonly runMs?: number
  /** Of what the index is asked for one agent. */
  readonly agentMs?: number
}

export const createReconciler = (options: ReconcilerOptions) => {
  const { database, vectorIndex, logger, clock, runMs = 20_000, agentMs = 20_000 } = options

  /** Merges the two lists, both by id, a page at a time. */
  const compare = async ({ tenant_id, agent_id, space_id }: AgentClockRow): Promise<Difference> => {
    const inIndex = new Map<string, number>()
    const signal = AbortSignal.timeout(agentMs)
    for (let after: string | null = null; ; ) {
      const page = await vectorIndex.list(tenant_id, space_id, { afterMemoryId: after, limit: pageSize }, { signal })
      const known = inIndex.size
      for (const { memoryId, revision } of page) inIndex.set(memoryId, revision)
      if (page.length < pageSize) break
      if (inIndex.size === known) throw new Error('the index lists the same page again and again')
      after = page.at(-1)?.memoryId ?? null
    }
    let missing = 0
    let outdated = 0
    let checked = 0
    for (let after = ''; ; ) {
      const afterId = after
      const page = await database.transact(tenant_id, (tx) =>
        listIndexedRevisions(tx, { agentId: agent_id, after: afterId, limit: pageSize }),
      )
      for (const { memoryId, revision } of page) {
        checked += 1
        const indexed = inIndex.get(memoryId)
        if (indexed === undefined) missing += 1
        else if (indexed !== revision) outdated += 1
        inIndex.delete(memoryId)
      }
      if (page.length < pageSize) return { missing, outdated, orphans: [...inIndex.keys()], checked }
      after = page.at(-1)?.memoryId ?? ''
    }
  }

  /** Null when the index cannot be read now. */
  const compareIfReadable = (agent: AgentClockRow): Promise<Difference | null> =>
    compare(agent).catch((error: unknown) => {
      if (isAppError(error) && error.code.startsWith('database.')) throw error
      logger.warn({ err: error, agentId: agent.agent_id }, 'what the index holds of an agent cannot be read')
      return null
    })

  type OnDifference = (agent: AgentClockRow, found: Difference) => Promise<void>

  const run = async (cursor: string | null, onDifference: OnDifference): Promise<ConsistencyReport> => {
    const totals = {
      ...{ agentsChecked: 0, agentsBehind: 0, agentsUnreadable: 0, memoriesChecked: 0 },
      ...{ missingInIndex: 0, outdatedInIndex: 0, orphanedInIndex: 0 },
    }
    const visit = async (agent: AgentClockRow): Promise<void> => {
      const isBehind = agent.revision > Math.min(agent.indexed_revision, agent.embedded_revision)
      const found = isBehind ? null : await compareIfReadable(agent)
      totals.agentsBehind += isBehind ? 1 : 0
      totals.agentsUnreadable += isBehind || found !== null ? 0 : 1
      if (found === null) return
      totals.agentsChecked += 1
      totals.memoriesChecked += found.checked
      totals.missingInIndex += found.missing
      totals.outdatedInIndex += found.outdated
      totals.orphanedInIndex += found.orphans.length
      await onDifference(agent, found)
    }
    const nextCursor = await eachAgent(cursor, visit)
    const consistent = totals.missingInIndex + totals.outdatedInIndex + totals.orphanedInIndex === 0
    const complete = totals.agentsBehind + totals.agentsUnreadable === 0 && cursor === null && nextCursor === null
    const rebuilding = await database.transactAsSystem(readIsRebuilding)
    return { ...totals, consistent, complete, rebuilding, nextCursor }
  }

  /** Until the last or until the time is over; answers where to go on. */
  const eachAgent = async (cursor: string | null, visit: (agent: AgentClockRow) => Promise<void>) => {
    const endMs = clock.monotonicMs() + runMs
    let after = decodeCursor({ list: cursorList, cursor }, ['', ''] as readonly [string, string])
    for (;;) {
      const from = after
      const agents = await database.transactAsSystem((tx) => listAgentClocks(tx, { after: from, limit: pageSize }))
      for (const agent of agents) {
        await visit(agent)
        after = [agent.tenant_id, agent.agent_id]
        if (clock.monotonicMs() >= endMs) return encodeCursor(cursorList, after)
      }
      if (agents.length < pageSize) return null
    }
  }

  return {
    check: (cursor: string | null = null): Promise<ConsistencyReport> => run(cursor, async () => {}),

    repair: async (cursor: string | null = null): Promise<RepairReport> => {
      const repaired = { agentsRestarted: 0, orphansRemoved: 0 }
      const report = await run(cursor, async ({ tenant_id, agent_id, space_id }, { orphans, missing, outdated }) => {
        if (orphans.length > 0) {
          const signal = AbortSignal.timeout(agentMs)
          await vectorIndex.remove(tenant_id, space_id, orphans, { signal })
          repaired.orphansRemoved += orphans.length
        }
        if (missing + outdated === 0) return
        await database.transact(tenant_id, (tx) => restartClock(tx, agent_id))
        repaired.agentsRestarted += 1
      })
      if (repaired.agentsRestarted > 0) options.onRepair()
      return { ...report, ...repaired }
    },
  }
}

export type Reconciler = ReturnType<typeof createReconciler>
