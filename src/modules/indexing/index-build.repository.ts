/** What building an index beside the one that serves reads and writes of one agent. */
import type { TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'

/** One life of one agent's memory. */
export type BuildTarget = { readonly agentId: string; readonly spaceId: string }

export type BuildClock = {
  /** How far it can be built now: up to where words and vectors are in PostgreSQL. */
  readonly goal: number
  readonly built: number
}

/** Null when the agent was erased. */
export const readBuildClock = async (
  tx: TenantTransaction,
  { agentId, spaceId }: BuildTarget,
): Promise<BuildClock | null> => {
  const rows = await tx.query<BuildClock>(sql`
    select least(indexed_revision, embedded_revision) as goal, built_revision as built from agent
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and space_id = ${spaceId}`)
  return rows[0] ?? null
}

/** Moves the clock of the index under construction, unless that is another one by now. */
export const advanceBuilt = async (
  tx: TenantTransaction,
  { agentId, spaceId, revision, building }: BuildTarget & { revision: number; building: string },
): Promise<boolean> => {
  const rows = await tx.query(sql`
    update agent set built_revision = greatest(built_revision, ${revision})
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and space_id = ${spaceId}
      and exists (select from installation where index_building = ${building})
    returning agent_id`)
  return rows.length === 1
}
