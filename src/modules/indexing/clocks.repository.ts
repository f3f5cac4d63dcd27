/** All agents' clocks at once, through definer functions that can read ids and clocks, never content. */
import type { SystemTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'

export type AgentClockRow = {
  readonly tenant_id: string
  readonly agent_id: string
  readonly space_id: string
  readonly revision: number
  readonly indexed_revision: number
  readonly embedded_revision: number
  readonly built_revision: number
}

export const listAgentClocks = (
  tx: SystemTransaction,
  { after, limit }: { after: readonly [tenantId: string, agentId: string]; limit: number },
) => tx.query<AgentClockRow>(sql`select * from list_agent_clocks(${after[0]}, ${after[1]}, ${limit})`)

/** Starts every agent's clock over; answers how many agents have something to index. None is leased for `pauseMs`. */
export const restartClocks = async (tx: SystemTransaction, pauseMs: number): Promise<number> => {
  const rows = await tx.query<{ restarted: number }>(sql`select restart_clocks(${pauseMs}) as restarted`)
  return rows[0]?.restarted ?? 0
}

/** Starts the vectors' clocks over, for another embedder. */
export const restartVectors = async (tx: SystemTransaction): Promise<number> => {
  const rows = await tx.query<{ restarted: number }>(sql`select restart_vectors() as restarted`)
  return rows[0]?.restarted ?? 0
}

export const beginBuild = (tx: SystemTransaction, { isForOther }: { isForOther: boolean }) =>
  tx.query(sql`select begin_build(${isForOther})`)

/** Makes the clocks speak of the index that was under construction. No agent is leased for `pauseMs`. */
export const adoptBuild = (tx: SystemTransaction, pauseMs: number) => tx.query(sql`select adopt_build(${pauseMs})`)

export const releaseLeases = (tx: SystemTransaction) => tx.query(sql`select release_leases()`)

/** Does the index under construction hold what was there when it was begun, and nearly all that came since? */
export const isBuildReady = async (
  tx: SystemTransaction,
  { isForOther, lagMax }: { isForOther: boolean; lagMax: number },
): Promise<boolean> => {
  const rows = await tx.query<{ is_ready: boolean }>(sql`select is_build_ready(${isForOther}, ${lagMax}) as is_ready`)
  return rows[0]?.is_ready ?? false
}

export const readIndexLag = async (
  tx: SystemTransaction,
): Promise<{ readonly agentsBehind: number; readonly revisionsBehind: number }> => {
  const rows = await tx.query<{ agents_behind: number; revisions_behind: number }>(sql`select * from index_lag()`)
  return { agentsBehind: rows[0]?.agents_behind ?? 0, revisionsBehind: rows[0]?.revisions_behind ?? 0 }
}
