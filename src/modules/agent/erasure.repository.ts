/** Erasing an agent: every table that holds anything of it, in one transaction, with a count for the receipt. */
import type { TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'
import type { Erasure } from './agent-types.ts'

type ErasureRow = {
  readonly erasure_id: string
  readonly agent_id: string
  readonly space_id: string
  readonly status: Erasure['status']
  readonly requested_at: string
  readonly completed_at: string | null
  readonly stores: Erasure['stores']
}

const toErasure = (row: ErasureRow): Erasure => ({
  erasureId: row.erasure_id,
  agentId: row.agent_id,
  spaceId: row.space_id,
  status: row.status,
  requestedAt: row.requested_at,
  completedAt: row.completed_at,
  stores: row.stores,
})

/** Null when there is no such agent. Writers of its memories and sessions wait for this and then find nothing. */
export const eraseAgentRows = async (
  tx: TenantTransaction,
  { agentId, erasureId }: { agentId: string; erasureId: string },
): Promise<Erasure | null> => {
  const rows = await tx.query<ErasureRow>(sql`
    with gone_agent as (
      delete from agent where tenant_id = ${tx.tenantId} and agent_id = ${agentId} returning space_id
    ), gone_memory as (
      delete from memory where tenant_id = ${tx.tenantId} and agent_id = ${agentId} returning 1
    ), gone_version as (
      delete from memory_version where tenant_id = ${tx.tenantId} and agent_id = ${agentId} returning 1
    ), gone_entry as (
      delete from index_entry where tenant_id = ${tx.tenantId} and agent_id = ${agentId} returning 1
    ), gone_term as (
      delete from agent_term where tenant_id = ${tx.tenantId} and agent_id = ${agentId} returning 1
    ), gone_session as (
      delete from session where tenant_id = ${tx.tenantId} and agent_id = ${agentId} returning session_id
    ), gone_message as (
      delete from message using gone_session where message.tenant_id = ${tx.tenantId}
        and message.session_id = gone_session.session_id returning 1
    ), gone_edit as (
      delete from context_edit using gone_session where context_edit.tenant_id = ${tx.tenantId}
        and context_edit.session_id = gone_session.session_id returning 1
    ), gone_step as (
      delete from step using gone_session where step.tenant_id = ${tx.tenantId}
        and step.session_id = gone_session.session_id returning 1
    ), gone_call as (
      delete from tool_call using gone_session where tool_call.tenant_id = ${tx.tenantId}
        and tool_call.session_id = gone_session.session_id returning 1
    ), gone_reward as (
      delete from reward using gone_session where reward.tenant_id = ${tx.tenantId}
        and reward.session_id = gone_session.session_id returning 1
    ), gone_answer as (
      delete from idempotency_key where tenant_id = ${tx.tenantId} and agent_id = ${agentId} returning 1
    )
    insert into erasure (tenant_id, erasure_id, agent_id, space_id, status, stores)
    select ${tx.tenantId}, ${erasureId}, ${agentId}, space_id, 'pending', jsonb_build_array(
      jsonb_build_object('store', 'memories', 'removed', (select count(*) from gone_memory)),
      jsonb_build_object('store', 'memory_versions', 'removed', (select count(*) from gone_version)),
      jsonb_build_object('store', 'index_entries', 'removed', (select count(*) from gone_entry)),
      jsonb_build_object('store', 'term_counts', 'removed', (select count(*) from gone_term)),
      jsonb_build_object('store', 'sessions', 'removed', (select count(*) from gone_session)),
      jsonb_build_object('store', 'messages', 'removed', (select count(*) from gone_message)),
      jsonb_build_object('store', 'context_edits', 'removed', (select count(*) from gone_edit)),
      jsonb_build_object('store', 'steps', 'removed', (select count(*) from gone_step)),
      jsonb_build_object('store', 'tool_calls', 'removed', (select count(*) from gone_call)),
      jsonb_build_object('store', 'rewards', 'removed', (select count(*) from gone_reward)),
      jsonb_build_object('store', 'stored_answers', 'removed', (select count(*) from gone_answer)))
    from gone_agent
    returning *`)
  return rows[0] === undefined ? null : toErasure(rows[0])
}

/** Takes the agent's row first, as every writer of memories does, so that the erasure sees all that was committed. */
export const lockAgent = async (tx: TenantTransaction, agentId: string): Promise<boolean> => {
  const rows = await tx.query(sql`
    select 1 from agent where tenant_id = ${tx.tenantId} and agent_id = ${agentId} for update`)
  return rows.length === 1
}

/** Takes the rows of the agent's sessions, which writers of messages, steps and rewards hold until they have committed. */
export const lockSessions = async (tx: TenantTransaction, agentId: string): Promise<void> => {
  await tx.query(sql`
    select 1 from session where tenant_id = ${tx.tenantId} and agent_id = ${agentId} order by session_id for update`)
}

export const findErasure = async (tx: TenantTransaction, erasureId: string): Promise<Erasure | null> => {
  const rows = await tx.query<ErasureRow>(sql`
    select * from erasure where tenant_id = ${tx.tenantId} and erasure_id = ${erasureId}`)
  return rows[0] === undefined ? null : toErasure(rows[0])
}

export const completeErasure = async (
  tx: TenantTransaction,
  { erasureId, pointsRemoved }: { erasureId: string; pointsRemoved: number },
): Promise<Erasure | null> => {
  const rows = await tx.query<ErasureRow>(sql`
    update erasure set status = 'completed', completed_at = now(),
      stores = stores || jsonb_build_object('store', 'vector_index', 'removed', ${pointsRemoved}::bigint)
    where tenant_id = ${tx.tenantId} and erasure_id = ${erasureId} and status = 'pending' returning *`)
  return rows[0] === undefined ? null : toErasure(rows[0])
}
