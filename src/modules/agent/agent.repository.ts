import type { TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'
import type { AgentDefaultsBody } from './agent.schemas.ts'
import { fromDefaultsBody, toDefaultsBody } from './agent-body.ts'
import type { Agent, AgentDefaults } from './agent-types.ts'

type AgentRow = {
  readonly agent_id: string
  readonly metadata: Record<string, unknown>
  readonly defaults: AgentDefaultsBody
  readonly memory_count: number
  readonly session_count: number
  readonly memory_tokens: number
  readonly revision: number
  readonly indexed_revision: number
  readonly embedded_revision: number
  readonly created_at: string
  readonly updated_at: string
}

const toAgent = (row: AgentRow): Agent => ({
  agentId: row.agent_id,
  metadata: row.metadata,
  defaults: fromDefaultsBody(row.defaults),
  memoryCount: row.memory_count,
  sessionCount: row.session_count,
  memoryTokens: row.memory_tokens,
  revision: row.revision,
  indexLag: row.revision - Math.min(row.indexed_revision, row.embedded_revision),
  createdAt: row.created_at,
  updatedAt: row.updated_at,
})

export const findAgent = async (tx: TenantTransaction, agentId: string): Promise<Agent | null> => {
  const rows = await tx.query<AgentRow>(sql`
    select * from agent where tenant_id = ${tx.tenantId} and agent_id = ${agentId}`)
  return rows[0] === undefined ? null : toAgent(rows[0])
}

/** Agents by id; `only` restricts to those a key is bound to, null: all. */
export const listAgents = async (
  tx: TenantTransaction,
  { after, limit, only }: { after: string; limit: number; only: readonly string[] | null },
): Promise<readonly Agent[]> => {
  const rows = await tx.query<AgentRow>(sql`
    select * from agent where tenant_id = ${tx.tenantId} and agent_id > ${after} collate "C"
      and (${only}::text[] is null or agent_id = any(${only}::text[]))
    order by agent_id collate "C" limit ${limit}`)
  return rows.map(toAgent)
}

/** The agent, which comes into being if it has none. Touches no clock. */
export const ensureAgent = async (
  tx: TenantTransaction,
  { agentId, spaceId }: { agentId: string; spaceId: string },
): Promise<Agent> => {
  const rows = await tx.query<AgentRow>(sql`
    insert into agent as kept (tenant_id, agent_id, space_id) values (${tx.tenantId}, ${agentId}, ${spaceId})
    on conflict (tenant_id, agent_id) do update set session_count = kept.session_count
    returning *`)
  return toAgent(rows[0] as AgentRow)
}

export const countSession = async (tx: TenantTransaction, agentId: string): Promise<void> => {
  await tx.query(sql`
    update agent set session_count = session_count + 1, updated_at = now()
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId}`)
}

/** Replaces what is given; null leaves it as it is. */
export const updateAgent = async (
  tx: TenantTransaction,
  {
    agentId,
    metadata,
    defaults,
  }: { agentId: string; metadata: Readonly<Record<string, unknown>> | null; defaults: AgentDefaults | null },
): Promise<Agent | null> => {
  const rows = await tx.query<AgentRow>(sql`
    update agent set metadata = coalesce(${metadata === null ? null : JSON.stringify(metadata)}::jsonb, metadata),
      defaults = coalesce(${defaults === null ? null : JSON.stringify(toDefaultsBody(defaults))}::jsonb, defaults),
      updated_at = now()
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId} returning *`)
  return rows[0] === undefined ? null : toAgent(rows[0])
}
