/**
 * Compares PostgreSQL and the vector index in both directions, agent by agent: what the index lacks or holds at another
 * revision, and what it holds that PostgreSQL does not have. Agents whose index is behind their clock are left out, as
 * they are about to change. A repair starts the damaged agents' clocks over and removes the orphans.
 */
import type { Database } from '../../ports/database.ts'
import type { VectorIndex } from '../../ports/vector-index.ts'
import { type AgentClockRow, listAgentClocks } from './clocks.repository.ts'
import { listIndexedRevisions } from './index.repository.ts'
import { restartClock } from './index-lease.repository.ts'
import { readIsRebuilding } from './index-state.repository.ts'

export type ConsistencyReport = {
  readonly agentsChecked: number
  readonly agentsBehind: number
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
}

type Difference = {
  readonly missing: number
  readonly outdated: number
  readonly orphans: readonly string[]
  readonly checked: number
}

const pageSize = 500

export const createReconciler = ({ database, vectorIndex }: { database: Database; vectorIndex: VectorIndex }) => {
  /** Merges the two lists, both by id, a page at a time. */
  const compare = async ({ tenant_id, agent_id, space_id }: AgentClockRow): Promise<Difference> => {
    const inIndex = new Map<string, number>()
    for (let after: string | null = null; ; ) {
      const page = await vectorIndex.list(tenant_id, space_id, { afterMemoryId: after, limit: pageSize })
      for (const { memoryId, revision } of page) inIndex.set(memoryId, revision)
      if (page.length < pageSize) break
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

  const repairAgent = async ({ tenant_id, agent_id, space_id }: AgentClockRow, found: Difference): Promise<void> => {
    if (found.orphans.length > 0) await vectorIndex.remove(tenant_id, space_id, found.orphans)
    if (found.missing + found.outdated > 0) await database.transact(tenant_id, (tx) => restartClock(tx, agent_id))
  }

  const run = async (onDifference: (agent: AgentClockRow, found: Difference) => Promise<void>) => {
    const totals = {
      agentsChecked: 0,
      agentsBehind: 0,
      memoriesChecked: 0,
      missingInIndex: 0,
      outdatedInIndex: 0,
      orphanedInIndex: 0,
    }
    for (let after: readonly [string, string] = ['', '']; ; ) {
      const from = after
      const agents = await database.transactAsSystem((tx) => listAgentClocks(tx, { after: from, limit: pageSize }))
      for (const agent of agents) {
        if (agent.revision > Math.min(agent.indexed_revision, agent.embedded_revision)) {
          totals.agentsBehind += 1
          continue
        }
        const found = await compare(agent)
        totals.agentsChecked += 1
        totals.memoriesChecked += found.checked
        totals.missingInIndex += found.missing
        totals.outdatedInIndex += found.outdated
        totals.orphanedInIndex += found.orphans.length
        await onDifference(agent, found)
      }
      const last = agents.at(-1)
      if (last === undefined || agents.length < pageSize) break
      after = [last.tenant_id, last.agent_id]
    }
    const consistent = totals.missingInIndex + totals.outdatedInIndex + totals.orphanedInIndex === 0
    const rebuilding = await database.transactAsSystem(readIsRebuilding)
    return { ...totals, consistent, complete: totals.agentsBehind === 0, rebuilding }
  }

  return {
    check: (): Promise<ConsistencyReport> => run(async () => {}),
    repair: (): Promise<ConsistencyReport> => run(repairAgent),
  }
}

export type Reconciler = ReturnType<typeof createReconciler>
