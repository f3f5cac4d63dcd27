/**
 * What the index should hold of an agent, as PostgreSQL has it. Rows are looked up one by one in a `lateral` with a limit,
 * by their key: a planner that knows nothing yet of a young table joins each row with all of the agent's.
 */
import type { TenantTransaction } from '../../ports/database.ts'
import type { Metadata } from '../../shared/metadata.ts'
import { sql } from '../../shared/sql.ts'

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
  readonly occurred_offset_minutes: number | null
  readonly expires_at: string | null
  readonly embedding: Buffer | null
  readonly error: string | null
}

/** With the revision of the next memory in the same order; null: this is the last one. */
export type ChangedRow = IndexableRow & { readonly next_revision: number | null }

/** How far into a revision something is done: up to this memory of it. */
export type RevisionPart = { readonly revision: number; readonly memoryId: string }

export const noPart: RevisionPart = { revision: 0, memoryId: '' }

export type ChangedRequest = {
  readonly agentId: string
  readonly afterRevision: number
  /** Of the revisions after that, what is done already. */
  readonly part?: RevisionPart
  readonly model: string
  readonly limit: number
  /** Of contents together; one memory is read however long it is. */
  readonly bytesMax: number
}

/** Memories changed after a revision, in the order of their revisions, those of one revision in that of their ids. */
export const readChangedMemories = async (
  tx: TenantTransaction,
  { agentId, afterRevision, part = noPart, model, limit, bytesMax }: ChangedRequest,
): Promise<readonly ChangedRow[]> =>
  tx.query<ChangedRow>(sql`
    with ahead as materialized (
      select memory_id, revision, octet_length(content) as bytes from memory
      where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and revision > ${afterRevision}
        and (revision, memory_id) > (${part.revision}::bigint, ${part.memoryId})
      order by revision, memory_id limit ${limit + 1}
    ), measured as materialized (
      select memory_id, row_number() over in_order as place, sum(bytes) over in_order - bytes as bytes_before,
        lead(revision) over in_order as next_revision
      from ahead window in_order as (order by revision, memory_id)
    )
    select memory.memory_id, memory.revision, memory.content_revision, memory.content, memory.memory_type,
      memory.metadata, memory.source_id, memory.source_position, memory.occurred_at, memory.occurred_offset_minutes,
      memory.expires_at, entry.embedding, entry.error, measured.next_revision
    from measured cross join lateral (
      select * from memory where tenant_id = ${tx.tenantId} and agent_id = ${agentId}
        and memory.memory_id = measured.memory_id limit 1
    ) as memory left join lateral (
      select embedding, error from index_entry as known
      where known.tenant_id = ${tx.tenantId} and known.agent_id = ${agentId} and known.memory_id = measured.memory_id
        and not known.removed and known.content_revision = memory.content_revision and known.embedding_model = ${model}
      limit 1
    ) as entry on true
    where place <= ${limit} and bytes_before < ${bytesMax}
    order by place`)

/**
 * Indexed memories that have no vector of the model yet and were not refused by it, in the order of their revisions; those
 * that could not be embedded have their own time to be tried again.
 */
export const readUnembedded = async (
  tx: TenantTransaction,
  {
    agentId,
    afterRevision,
    model,
    limit,
    bytesMax,
  }: { agentId: string; afterRevision: number; model: string; limit: number; bytesMax: number },
): Promise<readonly ChangedRow[]> =>
  tx.query<ChangedRow>(sql`
    with ahead as materialized (
      select memory.memory_id, memory.revision, octet_length(memory.content) as bytes
      from memory left join lateral (
        select content_revision, embedding_model, words_failed from index_entry as known
        where known.tenant_id = ${tx.tenantId} and known.agent_id = ${agentId} and known.memory_id = memory.memory_id
        limit 1
      ) as entry on true
      where memory.tenant_id = ${tx.tenantId} and memory.agent_id = ${agentId} and memory.revision > ${afterRevision}
        and (entry.content_revision, entry.embedding_model) is distinct from (memory.content_revision, ${model}::text)
        and entry.words_failed is not true
      order by memory.revision, memory.memory_id limit ${limit + 1}
    ), measured as materialized (
      select memory_id, row_number() over in_order as place, sum(bytes) over in_order - bytes as bytes_before,
        lead(revision) over in_order as next_revision
      from ahead window in_order as (order by revision, memory_id)
    )
    select memory.memory_id, memory.revision, memory.content_revision, memory.content, memory.memory_type,
      memory.metadata, memory.source_id, memory.source_position, memory.occurred_at, memory.occurred_offset_minutes,
      memory.expires_at, null as embedding, null as error, measured.next_revision
    from measured cross join lateral (
      select * from memory where tenant_id = ${tx.tenantId} and agent_id = ${agentId}
        and memory.memory_id = measured.memory_id limit 1
    ) as memory
    where place <= ${limit} and bytes_before < ${bytesMax}
    order by place`)

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

/** What the index should hold of an agent, by id: all but those whose words could not be indexed. */
export const listIndexedRevisions = async (
  tx: TenantTransaction,
  { agentId, after, limit }: { agentId: string; after: string; limit: number },
): Promise<readonly { readonly memoryId: string; readonly revision: number }[]> => {
  const rows = await tx.query<{ memory_id: string; revision: number }>(sql`
    select memory_id, revision from memory
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and memory_id > ${after}
      and not exists (select from index_entry as entry where entry.tenant_id = memory.tenant_id
        and entry.agent_id = memory.agent_id and entry.memory_id = memory.memory_id and entry.words_failed)
    order by memory_id limit ${limit}`)
  return rows.map((row) => ({ memoryId: row.memory_id, revision: row.revision }))
}
