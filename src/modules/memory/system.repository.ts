/** The calls that look across tenants, each through a definer function that can read ids and clocks, never content. */
import type { SystemTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'

export type ExpiredMemory = { readonly tenant_id: string; readonly agent_id: string; readonly memory_id: string }

export const findExpired = (tx: SystemTransaction, limit: number) =>
  tx.query<ExpiredMemory>(sql`select * from find_expired(${limit})`)

export const findPendingErasures = (tx: SystemTransaction, limit: number) =>
  tx.query<{ tenant_id: string; erasure_id: string }>(sql`select * from find_pending_erasures(${limit})`)

export const purgeIdempotencyKeys = (tx: SystemTransaction) => tx.query(sql`select purge_idempotency_keys()`)

export type AgentClockRow = {
  readonly tenant_id: string
  readonly agent_id: string
  readonly space_id: string
  readonly revision: number
  readonly indexed_revision: number
  readonly embedded_revision: number
}

export const listAgentClocks = (
  tx: SystemTransaction,
  { after, limit }: { after: readonly [tenantId: string, agentId: string]; limit: number },
) => tx.query<AgentClockRow>(sql`select * from list_agent_clocks(${after[0]}, ${after[1]}, ${limit})`)

/** Starts every agent's clock over; answers how many agents have something to index. */
export const restartClocks = async (tx: SystemTransaction): Promise<number> => {
  const rows = await tx.query<{ restarted: number }>(sql`select restart_clocks() as restarted`)
  return rows[0]?.restarted ?? 0
}

export const readIndexLag = async (
  tx: SystemTransaction,
): Promise<{ readonly agentsBehind: number; readonly revisionsBehind: number }> => {
  const rows = await tx.query<{ agents_behind: number; revisions_behind: number }>(sql`select * from index_lag()`)
  return { agentsBehind: rows[0]?.agents_behind ?? 0, revisionsBehind: rows[0]?.revisions_behind ?? 0 }
}

/** True when the clocks spoke of another index or embedder until now: they have to start over. */
export const swapIndexSignature = async (tx: SystemTransaction, signature: string): Promise<boolean> => {
  const rows = await tx.query<{ before: string | null }>(sql`
    update installation set index_signature = ${signature}
    from (select index_signature as before from installation for update) as old
    where index_signature is distinct from ${signature} returning old.before`)
  return rows.length === 1
}
