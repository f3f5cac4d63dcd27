/** Erasing an agent: every table that holds anything of it, with a count for the receipt. */
import type { TenantTransaction } from '../../ports/database.ts'
import { brokenInvariant } from '../../shared/errors.ts'
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

export type RemovedRows = Erasure['stores']

const storesOf = (counts: Readonly<Record<string, number>>): RemovedRows =>
  Object.entries(counts).map(([store, removed]) => ({ store, removed }))

/** What two removals took together, by store. */
export const addRemoved = (one: RemovedRows, other: RemovedRows): RemovedRows => {
  const sums = new Map(one.map(({ store, removed }) => [store, removed]))
  for (const { store, removed } of other) sums.set(store, (sums.get(store) ?? 0) + removed)
  return [...sums].map(([store, removed]) => ({ store, removed }))
}

/**
 * Takes the agent's row first, as every writer of memories does, so that the erasure sees all that was committed. Null:
 * there is no such agent.
 */
export const lockAgent = async (
  tx: TenantTransaction,
  agentId: string,
): Promise<{ readonly spaceId: string; readonly memories: number; readonly sessions: number } | null> => {
  const [row] = await tx.query<{ spaceId: string; memories: number; sessions: number }>(sql`
    select space_id as "spaceId", memory_count as memories, session_count as sessions from agent
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId} for update`)
  return row ?? null
}

/** Takes the rows of the agent's sessions, which writers of messages, steps and rewards hold until they have committed. */
export const lockSessions = async (
  tx: TenantTransaction,
  { agentId, limit }: { agentId: string; limit: number | null },
): Promise<readonly string[]> => {
  const rows = await tx.query<{ session_id: string }>(sql`
    select session_id from session where tenant_id = ${tx.tenantId} and agent_id = ${agentId}
    order by session_id limit ${limit} for update`)
  return rows.map((row) => row.session_id)
}

/** What one transaction removes of sessions: rows of all stores together, and their bytes, the last row's not counted. */
export type EraseBounds = { readonly rowsMax: number; readonly bytesMax: number }

export const eraseBoundsUsual: EraseBounds = { rowsMax: 10_000, bytesMax: 16 * 1024 * 1024 }

/** A part of what hangs on sessions, whose rows are locked, so that no row moves meanwhile. */
const deleteOfSessions = async (
  tx: TenantTransaction,
  { sessionIds, rowsMax, bytesMax }: EraseBounds & { readonly sessionIds: readonly string[] },
): Promise<{ readonly removed: RemovedRows; readonly hasMore: boolean }> => {
  const [row] = await tx.query<{ more: boolean } & Record<string, number>>(sql`
    with found as materialized (
      (select 'message' as store, ctid as place, bytes from message
        where tenant_id = ${tx.tenantId} and session_id = any(${sessionIds}::text[]) limit ${rowsMax} + 1)
      union all (select 'context_edit', ctid, bytes from context_edit
        where tenant_id = ${tx.tenantId} and session_id = any(${sessionIds}::text[]) limit ${rowsMax} + 1)
      union all (select 'step', ctid, bytes from step
        where tenant_id = ${tx.tenantId} and session_id = any(${sessionIds}::text[]) limit ${rowsMax} + 1)
      union all (select 'tool_call', ctid, bytes from tool_call
        where tenant_id = ${tx.tenantId} and session_id = any(${sessionIds}::text[]) limit ${rowsMax} + 1)
      union all (select 'reward', ctid, bytes from reward
        where tenant_id = ${tx.tenantId} and session_id = any(${sessionIds}::text[]) limit ${rowsMax} + 1)
    ), part as materialized (
      select store, place from (
        select store, place, bytes, sum(bytes) over (rows unbounded preceding) as through from found
      ) as counted
      where through - bytes < ${bytesMax}::bigint limit ${rowsMax}
    ), gone_message as (
      delete from message using part where tenant_id = ${tx.tenantId} and store = 'message' and ctid = place returning 1
    ), gone_edit as (
      delete from context_edit using part
      where tenant_id = ${tx.tenantId} and store = 'context_edit' and ctid = place returning 1
    ), gone_step as (
      delete from step using part where tenant_id = ${tx.tenantId} and store = 'step' and ctid = place returning 1
    ), gone_call as (
      delete from tool_call using part
      where tenant_id = ${tx.tenantId} and store = 'tool_call' and ctid = place returning 1
    ), gone_reward as (
      delete from reward using part where tenant_id = ${tx.tenantId} and store = 'reward' and ctid = place returning 1
    )
    select (select count(*) from gone_message) as messages, (select count(*) from gone_edit) as context_edits,
      (select count(*) from gone_step) as steps, (select count(*) from gone_call) as tool_calls,
      (select count(*) from gone_reward) as rewards,
      (select count(*) from found) > (select count(*) from part) as more`)
  const { more = false, ...counts } = row ?? {}
  return { removed: storesOf(counts as Record<string, number>), hasMore: more }
}

/**
 * Removes sessions, whose rows are locked, with all that hangs on them, or a part of it. What hangs on them goes first:
 * what it took is counted for the agent that the session names. While `hasMore`, the sessions are there for the next
 * call alone, and nobody reads them.
 */
export const eraseSessions = async (
  tx: TenantTransaction,
  { agentId, ...request }: EraseBounds & { readonly agentId: string; readonly sessionIds: readonly string[] },
): Promise<{ readonly removed: RemovedRows; readonly hasMore: boolean }> => {
  const { removed, hasMore } = await deleteOfSessions(tx, request)
  const { sessionIds } = request
  if (hasMore) {
    await tx.query(sql`
      update session set erasing = true
      where tenant_id = ${tx.tenantId} and session_id = any(${sessionIds}::text[]) and not erasing`)
    return { removed, hasMore }
  }
  const rows = await tx.query(sql`
    with gone as (
      delete from session where tenant_id = ${tx.tenantId} and session_id = any(${sessionIds}::text[]) returning 1
    ), counted as (
      update agent set session_count = session_count - (select count(*) from gone)
      where tenant_id = ${tx.tenantId} and agent_id = ${agentId}
    )
    select 1 from gone`)
  return { removed: [{ store: 'sessions', removed: rows.length }, ...removed], hasMore }
}

/** Removes the agent's row and all that hangs on it but its sessions. Writers wait for this and then find nothing. */
export const eraseAgentRows = async (tx: TenantTransaction, agentId: string): Promise<RemovedRows> => {
  const [counts] = await tx.query<Record<string, number>>(sql`
    with gone_agent as (
      delete from agent where tenant_id = ${tx.tenantId} and agent_id = ${agentId} returning 1
    ), gone_memory as (
      delete from memory where tenant_id = ${tx.tenantId} and agent_id = ${agentId} returning 1
    ), gone_version as (
      delete from memory_version where tenant_id = ${tx.tenantId} and agent_id = ${agentId} returning 1
    ), gone_entry as (
      delete from index_entry where tenant_id = ${tx.tenantId} and agent_id = ${agentId} returning 1
    ), gone_term as (
      delete from agent_term where tenant_id = ${tx.tenantId} and agent_id = ${agentId} returning 1
    ), gone_answer as (
      delete from idempotency_key where tenant_id = ${tx.tenantId} and agent_id = ${agentId} returning 1
    )
    select (select count(*) from gone_memory) as memories, (select count(*) from gone_version) as memory_versions, (select count(*) from gone_entry) as index_entries,
      (select count(*) from gone_term) as term_counts, (select count(*) from gone_answer) as stored_answers
    from gone_agent`)
  if (counts === undefined) throw brokenInvariant('A locked agent vanished while it was erased.')
  return storesOf(counts)
}

/** The receipt as it stands: `stores` is all that was removed so far. */
export const saveErasure = async (
  tx: TenantTransaction,
  erasure: Pick<Erasure, 'erasureId' | 'agentId' | 'spaceId' | 'stores'>,
): Promise<Erasure> => {
  const rows = await tx.query<ErasureRow>(sql`
    insert into erasure (tenant_id, erasure_id, agent_id, space_id, status, stores)
    values (${tx.tenantId}, ${erasure.erasureId}, ${erasure.agentId}, ${erasure.spaceId}, 'pending',
      ${JSON.stringify(erasure.stores)}::jsonb)
    on conflict (tenant_id, erasure_id) do update set stores = excluded.stores returning *`)
  return toErasure(rows[0] as ErasureRow)
}

/** The one that was begun of what an agent holds in this space, and is not done. */
export const findPendingErasure = async (tx: TenantTransaction, spaceId: string): Promise<Erasure | null> => {
  const rows = await tx.query<ErasureRow>(sql`
    select * from erasure where tenant_id = ${tx.tenantId} and status = 'pending' and space_id = ${spaceId}`)
  return rows[0] === undefined ? null : toErasure(rows[0])
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
