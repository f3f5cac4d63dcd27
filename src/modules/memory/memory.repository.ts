/** One memory, or those of given ids: reads, changes, deletions. */
import type { TenantTransaction } from '../../ports/database.ts'
import { brokenInvariant } from '../../shared/errors.ts'
import { sql } from '../../shared/sql.ts'
import { removeAnswersShowing } from '../idempotency/idempotency.repository.ts'
import { type MemoryRow, type StoredRow, toMemory } from './memory-row.ts'
import type { Memory } from './memory-types.ts'

export const findMemory = async (
  tx: TenantTransaction,
  { agentId, memoryId, now }: { agentId: string; memoryId: string; now: string },
): Promise<Memory | null> => {
  const [row] = await findMemories(tx, { agentId, memoryIds: [memoryId], now })
  return row ?? null
}

/** Those of the ids that the agent has and that have not expired, in no order. */
export const findMemories = async (
  tx: TenantTransaction,
  { agentId, memoryIds, now }: { agentId: string; memoryIds: readonly string[]; now: string },
): Promise<readonly Memory[]> => {
  const rows = await tx.query<StoredRow>(sql`
    select found.* from unnest(${memoryIds}::text[]) as wanted(memory_id)
    cross join lateral (
      select * from stored_memory
      where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and stored_memory.memory_id = wanted.memory_id
        and (expires_at is null or expires_at > ${now}::timestamptz) limit 1
    ) as found`)
  return rows.map(toMemory)
}

/** The memory with its row and its agent's row locked in the order that every writer takes them. */
export const lockMemory = async (
  tx: TenantTransaction,
  { agentId, memoryId, now }: { agentId: string; memoryId: string; now: string },
): Promise<Memory | null> => {
  await tx.query(sql`
    select 1 from agent where tenant_id = ${tx.tenantId} and agent_id = ${agentId} for no key update`)
  return findMemory(tx, { agentId, memoryId, now })
}

export type MemoryUpdate = Pick<MemoryRow, 'content' | 'memory_type' | 'metadata' | 'content_hash' | 'tokens'> & {
  readonly expires_at: string | null
  readonly updated_at: string
}

/** Puts the new values in place under the agent's next revision and keeps the old ones as a version. */
export const updateMemory = async (
  tx: TenantTransaction,
  {
    agentId,
    memoryId,
    after,
    changedBy,
  }: { agentId: string; memoryId: string; after: MemoryUpdate; changedBy: string },
): Promise<Memory> => {
  const metadata = JSON.stringify(after.metadata)
  const rows = await tx.query<StoredRow>(sql`
    with before as (
      select * from memory
      where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and memory_id = ${memoryId}
    ), kept as (
      insert into memory_version (tenant_id, agent_id, memory_id, version, content, memory_type, metadata, changed_by,
        created_at)
      select tenant_id, agent_id, memory_id, version, content, memory_type, metadata, changed_by, updated_at from before
    ), clock as (
      update agent set revision = agent.revision + 1, updated_at = now(),
        memory_tokens = agent.memory_tokens + ${after.tokens} - before.tokens
      from before where agent.tenant_id = before.tenant_id and agent.agent_id = before.agent_id
      returning agent.revision
    )
    update memory set content = ${after.content}, memory_type = ${after.memory_type}, metadata = ${metadata}::jsonb,
      content_hash = ${after.content_hash}::bigint, tokens = ${after.tokens}, version = memory.version + 1,
      revision = clock.revision, changed_by = ${changedBy}, updated_at = ${after.updated_at}::timestamptz,
      expires_at = ${after.expires_at}::timestamptz,
      content_revision = case when memory.content = ${after.content} then memory.content_revision
        else clock.revision end
    from clock
    where memory.tenant_id = ${tx.tenantId} and memory.agent_id = ${agentId} and memory.memory_id = ${memoryId}
    returning memory.*, 'pending' as index_state`)
  const [row] = rows
  if (row === undefined) throw brokenInvariant('A locked memory vanished while it was updated.')
  return toMemory(row)
}

/**
 * Erases the memories with their versions and the stored answers that show them at once, and leaves removed entries, without content, for the index. With
 * `expiredBy`, only those that have expired by that moment. Answers the ids that are gone.
 */
export const deleteMemories = async (
  tx: TenantTransaction,
  { agentId, memoryIds, expiredBy }: { agentId: string; memoryIds: readonly string[]; expiredBy?: string },
): Promise<readonly string[]> => {
  const moment = expiredBy ?? null
  const rows = await tx.query<{ memory_id: string }>(sql`
    with gone as (
      delete from memory where tenant_id = ${tx.tenantId} and agent_id = ${agentId}
        and memory_id = any(${memoryIds}::text[])
        and (${moment}::timestamptz is null or expires_at <= ${moment}::timestamptz)
      returning memory_id, tokens
    ), versions as (
      delete from memory_version where tenant_id = ${tx.tenantId} and agent_id = ${agentId}
        and memory_id in (select memory_id from gone)
    ), clock as (
      update agent set revision = revision + 1, updated_at = now(),
        memory_count = memory_count - (select count(*) from gone),
        memory_tokens = memory_tokens - (select coalesce(sum(tokens), 0) from gone)
      where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and exists (select 1 from gone)
      returning revision
    ), removed as (
      insert into index_entry as entry (tenant_id, agent_id, memory_id, revision, removed)
      select ${tx.tenantId}, ${agentId}, gone.memory_id, clock.revision, true from gone, clock
      on conflict (tenant_id, agent_id, memory_id) do update set revision = excluded.revision, removed = true,
        embedding = null, embedding_model = null, content_revision = null, error = null
    )
    select memory_id from gone`)
  const gone = rows.map((row) => row.memory_id)
  // A statement of its own, which sees what was stored while this one waited for a memory that an answer shows.
  if (gone.length > 0) await removeAnswersShowing(tx, { agentId, memoryIds: gone })
  return gone
}

/** Removes up to `limit` memories of the agent, whose row is locked; answers how many. */
export const removeMemories = async (
  tx: TenantTransaction,
  { agentId, limit }: { agentId: string; limit: number },
): Promise<number> => {
  const rows = await tx.query<{ memory_id: string }>(sql`
    select memory_id from memory where tenant_id = ${tx.tenantId} and agent_id = ${agentId} limit ${limit}`)
  return (await deleteMemories(tx, { agentId, memoryIds: rows.map((row) => row.memory_id) })).length
}
