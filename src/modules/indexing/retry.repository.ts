/** Memories that could not be indexed: which they are, and when they are tried again. */
import type { TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'
import type { IndexableRow } from './index.repository.ts'
import { retryDelaysMs } from './index-publish.repository.ts'

/** What can be read of a memory whatever else is wrong with it. */
export type BareRow = { readonly memory_id: string; readonly revision: number; readonly next_revision: number | null }

/** The memory that comes next after a place, by what no content can spoil. */
export const readNextBare = async (
  tx: TenantTransaction,
  { agentId, after, part }: { agentId: string; after: number; part: { revision: number; memoryId: string } },
): Promise<BareRow | null> => {
  const rows = await tx.query<BareRow>(sql`
    select memory_id, revision, lead(revision) over (order by revision, memory_id) as next_revision from (
      select memory_id, revision from memory
      where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and revision > ${after}
        and (revision, memory_id) > (${part.revision}::bigint, ${part.memoryId})
      order by revision, memory_id limit 2
    ) as ahead order by revision, memory_id limit 1`)
  return rows[0] ?? null
}

/** The words of a memory could not be indexed: noted, and tried again later. Words that were counted before stay counted. */
export const noteWordsFailed = async (
  tx: TenantTransaction,
  {
    agentId,
    memoryId,
    revision,
    reason,
    publication,
  }: { agentId: string; memoryId: string; revision: number; reason: string; publication: number },
): Promise<void> => {
  await tx.query(sql`
    insert into index_entry as entry (tenant_id, agent_id, memory_id, revision, published, error, attempts, retry_at,
      words_failed)
    select ${tx.tenantId}, ${agentId}, memory_id, revision, ${publication}, ${reason}, 1,
      clock_timestamp() + make_interval(secs => ${retryDelaysMs[0] / 1000}::double precision), true
    from memory where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and memory_id = ${memoryId}
      and revision = ${revision}
    on conflict (tenant_id, agent_id, memory_id) do update set revision = excluded.revision, removed = false,
      published = excluded.published, error = excluded.error, attempts = entry.attempts + 1, words_failed = true,
      retry_at = clock_timestamp() + make_interval(
        secs => (${retryDelaysMs}::bigint[])[least(entry.attempts + 1, ${retryDelaysMs.length})] / 1000.0)`)
}

export type DueRetry = { readonly memory_id: string; readonly revision: number; readonly words_failed: boolean }

/** Those whose time has come; what has changed since is not among them, as it is indexed anew anyway. */
export const listDueRetries = async (
  tx: TenantTransaction,
  { agentId, limit }: { agentId: string; limit: number },
): Promise<readonly DueRetry[]> =>
  tx.query<DueRetry>(sql`
    select entry.memory_id, entry.revision, entry.words_failed from index_entry as entry
    join memory on memory.tenant_id = entry.tenant_id and memory.agent_id = entry.agent_id
      and memory.memory_id = entry.memory_id and memory.revision = entry.revision
    where entry.tenant_id = ${tx.tenantId} and entry.agent_id = ${agentId} and not entry.removed
      and entry.retry_at <= clock_timestamp()
    order by entry.retry_at, entry.memory_id limit ${limit}`)

/** Entries whose memory is gone or has changed: the loops have them. */
export const dropStaleRetries = async (tx: TenantTransaction, agentId: string): Promise<void> => {
  await tx.query(sql`
    update index_entry as entry set retry_at = null, embedding_model = null
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and retry_at <= clock_timestamp() and not exists (
      select from memory where memory.tenant_id = entry.tenant_id and memory.agent_id = entry.agent_id
        and memory.memory_id = entry.memory_id and memory.revision = entry.revision)`)
}

export const findIndexable = async (
  tx: TenantTransaction,
  { agentId, memoryId, revision }: { agentId: string; memoryId: string; revision: number },
): Promise<IndexableRow | null> => {
  const rows = await tx.query<IndexableRow>(sql`
    select memory_id, revision, content_revision, content, memory_type, metadata, source_id, source_position,
      occurred_at, occurred_offset_minutes, expires_at, null as embedding, null as error
    from memory where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and memory_id = ${memoryId}
      and revision = ${revision}`)
  return rows[0] ?? null
}
