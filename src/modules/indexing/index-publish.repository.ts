/** What the indexer notes of its writes to the index, as the holder of the agent's lease. */
import type { TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'
import type { AgentLease } from './index-lease.repository.ts'

/** Takes the agent's row, which every writer of its memories takes first, and the next publication number. */
export const beginPublication = async (
  tx: TenantTransaction,
  lease: AgentLease,
): Promise<{ readonly publication: number } | null> => {
  const rows = await tx.query<{ publication: number }>(sql`
    update agent set publication = publication + 1
    where tenant_id = ${tx.tenantId} and agent_id = ${lease.agentId} and space_id = ${lease.spaceId}
      and lease_token = ${lease.token}
    returning publication`)
  const row = rows[0]
  return row === undefined ? null : { publication: row.publication }
}

export type PublishedWords = {
  readonly memory_id: string
  readonly revision: number
  readonly term_ids: readonly number[]
}

/**
 * Notes which words are in the index and brings the agent's term counts along: minus the terms that were counted for
 * these memories, plus the new ones. Rows that changed since they were read are left for the next round.
 */
export const publishWords = async (
  tx: TenantTransaction,
  { agentId, words, publication }: { agentId: string; words: readonly PublishedWords[]; publication: number },
): Promise<void> => {
  await tx.query(sql`
    with input as (
      select row.* from json_to_recordset(${JSON.stringify(words)}::json) as row(memory_id text, revision bigint,
        term_ids bigint[])
      join memory on memory.tenant_id = ${tx.tenantId} and memory.agent_id = ${agentId}
        and memory.memory_id = row.memory_id and memory.revision = row.revision
    ), old as (
      select entry.memory_id, entry.term_ids from index_entry as entry join input using (memory_id)
      where entry.counted and entry.tenant_id = ${tx.tenantId} and entry.agent_id = ${agentId}
    ), counted as (
      select term_id, sum(delta) as delta from (
        select unnest(term_ids) as term_id, 1 as delta from input
        union all select unnest(term_ids), -1 from old
      ) as change group by term_id having sum(delta) <> 0
    ), terms as (
      insert into agent_term as kept (tenant_id, agent_id, term_id, document_count)
      select ${tx.tenantId}, ${agentId}, term_id, delta from counted order by term_id
      on conflict (tenant_id, agent_id, term_id) do update set document_count = kept.document_count + excluded.document_count
    ), documents as (
      update agent set document_count = document_count + (select count(*) from input)
        - (select count(*) from old)
      where tenant_id = ${tx.tenantId} and agent_id = ${agentId}
    )
    insert into index_entry as entry (tenant_id, agent_id, memory_id, revision, counted, term_ids, published)
    select ${tx.tenantId}, ${agentId}, memory_id, revision, true, term_ids, ${publication} from input
    on conflict (tenant_id, agent_id, memory_id) do update set revision = excluded.revision, removed = false,
      counted = true, term_ids = excluded.term_ids, published = excluded.published, words_failed = false, attempts = 0,
      -- What could not be embedded is tried anew with the memory's next revision.
      embedding_model = case when entry.retry_at is null then entry.embedding_model end, retry_at = null`)
}

/** Takes the terms of removed memories out of the counts; the entries stay until they are forgotten. */
export const publishRemovals = async (
  tx: TenantTransaction,
  { agentId, memoryIds, publication }: { agentId: string; memoryIds: readonly string[]; publication: number },
): Promise<void> => {
  await tx.query(sql`
    with old as (
      select memory_id, term_ids from index_entry
      where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and removed and counted and memory_id = any(${memoryIds}::text[])
    ), counted as (
      select unnest(term_ids) as term_id, count(*) as documents from old group by 1
    ), terms as (
      update agent_term set document_count = document_count - counted.documents from counted
      where agent_term.tenant_id = ${tx.tenantId} and agent_term.agent_id = ${agentId}
        and agent_term.term_id = counted.term_id
    ), documents as (
      update agent set document_count = document_count - (select count(*) from old)
      where tenant_id = ${tx.tenantId} and agent_id = ${agentId}
    )
    update index_entry set counted = false, term_ids = '{}', published = ${publication}
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and removed and memory_id = any(${memoryIds}::text[])`)
}

export type PublishedVector = {
  readonly memoryId: string
  readonly contentRevision: number
  readonly embedding: Buffer | null
  readonly error: string | null
  /** Of what could be embedded another time; false: never as it is, or it is embedded. */
  readonly isRetried: boolean
}

/** Longer with each time in a row; the last goes on. */
export const retryDelaysMs = [30_000, 300_000, 3_600_000, 21_600_000] as const

export const publishVectors = async (
  tx: TenantTransaction,
  {
    agentId,
    model,
    vectors,
    publication,
  }: { agentId: string; model: string; vectors: readonly PublishedVector[]; publication: number },
): Promise<void> => {
  await tx.query(sql`
    update index_entry as entry set embedding = input.embedding, embedding_model = ${model}, error = input.error,
      content_revision = input.content_revision, published = ${publication}, words_failed = false,
      attempts = case when input.error is null then 0 else entry.attempts + 1 end,
      retry_at = case when input.is_retried then clock_timestamp() + make_interval(
        secs => (${retryDelaysMs}::bigint[])[least(entry.attempts + 1, ${retryDelaysMs.length})] / 1000.0) end
    from unnest(${vectors.map((v) => v.memoryId)}::text[], ${vectors.map((v) => v.contentRevision)}::bigint[],
      ${vectors.map((v) => v.embedding)}::bytea[], ${vectors.map((v) => v.error)}::text[],
      ${vectors.map((v) => v.isRetried)}::boolean[])
      as input(memory_id, content_revision, embedding, error, is_retried)
    join memory on memory.tenant_id = ${tx.tenantId} and memory.agent_id = ${agentId}
      and memory.memory_id = input.memory_id and memory.content_revision = input.content_revision
    where entry.tenant_id = ${tx.tenantId} and entry.agent_id = ${agentId} and entry.memory_id = input.memory_id
      and not entry.removed`)
}

/**
 * Removed entries that every cache has had time to see, and an index under construction too; a cache from before has to
 * start over.
 */
export const forgetRemovals = async (
  tx: TenantTransaction,
  { agentId, upToPublication }: { agentId: string; upToPublication: number },
): Promise<void> => {
  await tx.query(sql`
    with forgotten as (
      delete from index_entry as entry where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and removed
        and published <= ${upToPublication}
        and (not exists (select from installation where index_building is not null)
          or exists (select from agent where agent.tenant_id = ${tx.tenantId} and agent.agent_id = ${agentId}
            and agent.built_revision >= entry.revision))
      returning 1
    ), terms as (
      delete from agent_term where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and document_count <= 0
    )
    update agent set forgotten_publication = greatest(forgotten_publication, ${upToPublication})
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and exists (select 1 from forgotten)`)
}
