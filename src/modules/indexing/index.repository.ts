/** What the index should hold of an agent, as PostgreSQL has it. */
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

/** Memories changed after a revision, in the order of their revisions. */
export const readChangedMemories = async (
  tx: TenantTransaction,
  { agentId, afterRevision, model, limit }: { agentId: string; afterRevision: number; model: string; limit: number },
): Promise<readonly IndexableRow[]> =>
  tx.query<IndexableRow>(sql`
    select memory.memory_id, memory.revision, memory.content_revision, memory.content, memory.memory_type,
      memory.metadata, memory.source_id, memory.source_position, memory.occurred_at, memory.occurred_offset_minutes,
      memory.expires_at, entry.embedding, entry.error
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
      memory.metadata, memory.source_id, memory.source_position, memory.occurred_at, memory.occurred_offset_minutes,
      memory.expires_at, null as embedding, null as error
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
