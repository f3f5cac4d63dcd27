/** What the indexer reads and writes. Each function works for the one agent whose lease the indexer holds. */
import type { SystemTransaction, TenantTransaction } from '../../ports/database.ts'
import type { Metadata } from '../../shared/metadata.ts'
import { sql } from '../../shared/sql.ts'

export type AgentLease = {
  readonly tenantId: string
  readonly agentId: string
  readonly spaceId: string
  /** Fences: a holder whose lease ran out and was taken over can no longer move the clock. */
  readonly token: number
}

/** What an agent can be leased for: its words first, its vectors once its words are in the index. */
export type IndexPhase = 'words' | 'vectors'

export const leaseAgent = async (
  tx: SystemTransaction,
  { leaseMs, phase, signature }: { leaseMs: number; phase: IndexPhase; signature: string },
): Promise<AgentLease | null> => {
  const rows = await tx.query<{ tenant_id: string; agent_id: string; space_id: string; lease_token: number }>(sql`
    select * from lease_agent(${leaseMs}, ${phase === 'vectors'}, ${signature})`)
  const row = rows[0]
  if (row === undefined) return null
  return { tenantId: row.tenant_id, agentId: row.agent_id, spaceId: row.space_id, token: row.lease_token }
}

export type AgentClock = {
  readonly revision: number
  readonly indexedRevision: number
  readonly embeddedRevision: number
}

export const readClock = async (tx: TenantTransaction, lease: AgentLease): Promise<AgentClock | null> => {
  const rows = await tx.query<{ revision: number; indexed_revision: number; embedded_revision: number }>(sql`
    select revision, indexed_revision, embedded_revision from agent
    where tenant_id = ${tx.tenantId} and agent_id = ${lease.agentId} and lease_token = ${lease.token}`)
  const row = rows[0]
  if (row === undefined) return null
  return { revision: row.revision, indexedRevision: row.indexed_revision, embeddedRevision: row.embedded_revision }
}

/** A memory as the index needs it, with the vector it has if that is of this content and model. */
export type IndexableRow = {
  readonly memory_id: string
  readonly revision: number
  readonly content_revision: number
  readonly content: string
  readonly memory_type: string | null
  readonly metadata: Metadata
  readonly source_id: string | null
  readonly source_position: number | null
  readonly occurred_at: string | null
  readonly expires_at: string | null
  readonly embedding: Buffer | null
  readonly error: string | null
}

/** Memories changed after a revision, in the order of their revisions. */
export const readChangedMemories = async (
  tx: TenantTransaction,
  { agentId, afterRevision, model, limit }: { agentId: string; afterRevision: number; model: string; limit: number },
): Promise<readonly IndexableRow[]> =>
  tx.query<IndexableRow>(sql`
    select memory.memory_id, memory.revision, memory.content_revision, memory.content, memory.memory_type,
      memory.metadata, memory.source_id, memory.source_position, memory.occurred_at, memory.expires_at,
      entry.embedding, entry.error
    from memory left join index_entry as entry on entry.tenant_id = memory.tenant_id
      and entry.agent_id = memory.agent_id and entry.memory_id = memory.memory_id and not entry.removed
      and entry.content_revision = memory.content_revision and entry.embedding_model = ${model}
    where memory.tenant_id = ${tx.tenantId} and memory.agent_id = ${agentId} and memory.revision > ${afterRevision}
    order by memory.revision limit ${limit}`)

/** Indexed memories that have no vector of the model yet and were not refused by it, in the order of their revisions. */
export const readUnembedded = async (
  tx: TenantTransaction,
  { agentId, afterRevision, model, limit }: { agentId: string; afterRevision: number; model: string; limit: number },
): Promise<readonly IndexableRow[]> =>
  tx.query<IndexableRow>(sql`
    select memory.memory_id, memory.revision, memory.content_revision, memory.content, memory.memory_type,
      memory.metadata, memory.source_id, memory.source_position, memory.occurred_at, memory.expires_at,
      null as embedding, null as error
    from memory left join index_entry as entry on entry.tenant_id = memory.tenant_id
      and entry.agent_id = memory.agent_id and entry.memory_id = memory.memory_id
    where memory.tenant_id = ${tx.tenantId} and memory.agent_id = ${agentId} and memory.revision > ${afterRevision}
      and (entry.content_revision, entry.embedding_model) is distinct from (memory.content_revision, ${model}::text)
    order by memory.revision limit ${limit}`)

export const readRemovedIds = async (
  tx: TenantTransaction,
  { agentId, afterRevision, upToRevision }: { agentId: string; afterRevision: number; upToRevision: number },
): Promise<readonly string[]> => {
  const rows = await tx.query<{ memory_id: string }>(sql`
    select memory_id from index_entry
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and removed
      and revision > ${afterRevision} and revision <= ${upToRevision}`)
  return rows.map((row) => row.memory_id)
}

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
      counted = true, term_ids = excluded.term_ids, published = excluded.published`)
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
}

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
      content_revision = input.content_revision, published = ${publication}
    from unnest(${vectors.map((v) => v.memoryId)}::text[], ${vectors.map((v) => v.contentRevision)}::bigint[],
      ${vectors.map((v) => v.embedding)}::bytea[], ${vectors.map((v) => v.error)}::text[])
      as input(memory_id, content_revision, embedding, error)
    join memory on memory.tenant_id = ${tx.tenantId} and memory.agent_id = ${agentId}
      and memory.memory_id = input.memory_id and memory.content_revision = input.content_revision
    where entry.tenant_id = ${tx.tenantId} and entry.agent_id = ${agentId} and entry.memory_id = input.memory_id
      and not entry.removed`)
}

/** Moves the words' clock and lets the lease go, after a rest in which further writes gather. */
export const advanceIndexed = async (
  tx: TenantTransaction,
  { agentId, revision, restMs }: { agentId: string; revision: number; restMs: number },
): Promise<void> => {
  await tx.query(sql`
    update agent set indexed_revision = greatest(indexed_revision, ${revision}), lease_until = clock_timestamp() + make_interval(secs => ${restMs / 1000}::double precision)
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId}`)
}

/** Moves the vectors' clock and lets the lease go, after the same rest. */
export const advanceEmbedded = async (
  tx: TenantTransaction,
  { agentId, revision, restMs }: { agentId: string; revision: number; restMs: number },
): Promise<void> => {
  await tx.query(sql`
    update agent set embedded_revision = greatest(embedded_revision, ${revision}), lease_until = clock_timestamp() + make_interval(secs => ${restMs / 1000}::double precision)
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId}`)
}

/** Lets the lease go after a delay, so that an agent which cannot be indexed now does not keep the others waiting. */
export const postponeLease = async (
  tx: TenantTransaction,
  { lease, delayMs }: { lease: AgentLease; delayMs: number },
): Promise<void> => {
  await tx.query(sql`
    update agent set lease_until = clock_timestamp() + make_interval(secs => ${delayMs / 1000}::double precision)
    where tenant_id = ${tx.tenantId} and agent_id = ${lease.agentId} and lease_token = ${lease.token}`)
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

/** What the index should hold of an agent, by id: indexed memories that have not expired. */
export const listIndexedRevisions = async (
  tx: TenantTransaction,
  { agentId, after, limit }: { agentId: string; after: string; limit: number },
): Promise<readonly { readonly memoryId: string; readonly revision: number }[]> => {
  const rows = await tx.query<{ memory_id: string; revision: number }>(sql`
    select memory_id, revision from memory
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and memory_id > ${after}
    order by memory_id limit ${limit}`)
  return rows.map((row) => ({ memoryId: row.memory_id, revision: row.revision }))
}

/** Starts one agent's clock over, also for who is at it now: the indexer writes all of it to the index again. */
export const restartClock = async (tx: TenantTransaction, agentId: string): Promise<void> => {
  await tx.query(sql`
    update agent set indexed_revision = 0, embedded_revision = 0, lease_token = lease_token + 1, lease_until = null
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId}`)
}
