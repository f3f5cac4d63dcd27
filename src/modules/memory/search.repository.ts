/** What a search reads from PostgreSQL beside the index. */
import type { TenantTransaction } from '../../ports/database.ts'
import { numberArray, sql } from '../../shared/sql.ts'
import type { IndexableRow } from '../indexing/index.repository.ts'

export type SearchAgent = {
  readonly spaceId: string
  readonly documentCount: number
  readonly indexedRevision: number
  readonly behind: boolean
  readonly embeddedRevision: number
  /** Some of its memories may have no vector yet. */
  readonly lacksVectors: boolean
  /** The agent's own, null where it uses the service's. */
  readonly duplicateThreshold: number | null
}

type SearchAgentRow = {
  readonly space_id: string
  readonly document_count: number
  readonly revision: number
  readonly indexed_revision: number
  readonly embedded_revision: number
  readonly duplicate_threshold: number | null
}

const toSearchAgent = (row: SearchAgentRow): SearchAgent => ({
  spaceId: row.space_id,
  documentCount: row.document_count,
  indexedRevision: row.indexed_revision,
  behind: row.revision > row.indexed_revision,
  embeddedRevision: row.embedded_revision,
  lacksVectors: row.revision > row.embedded_revision,
  duplicateThreshold: row.duplicate_threshold,
})

export const findSearchAgent = async (tx: TenantTransaction, agentId: string): Promise<SearchAgent | null> => {
  const rows = await tx.query<SearchAgentRow>(sql`
    select space_id, document_count, revision, indexed_revision, embedded_revision,
      (defaults ->> 'duplicate_threshold')::double precision as duplicate_threshold from agent
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId}`)
  return rows[0] === undefined ? null : toSearchAgent(rows[0])
}

export type SearchStart = {
  readonly agent: SearchAgent
  /** In how many indexed memories a term stands; absent: in none. */
  readonly frequencies: ReadonlyMap<number, number>
}

/** The agent with its counts of the terms: one statement, so that both are of one moment and cost one round trip. */
export const readSearchStart = async (
  tx: TenantTransaction,
  { agentId, termIds }: { agentId: string; termIds: readonly number[] },
): Promise<SearchStart | null> => {
  const rows = await tx.query<SearchAgentRow & { frequencies: Readonly<Record<string, number>> | null }>(sql`
    select space_id, document_count, revision, indexed_revision, embedded_revision, null as duplicate_threshold, (
        select json_object_agg(term_id, agent_term.document_count) from agent_term
        where agent_term.tenant_id = ${tx.tenantId} and agent_term.agent_id = ${agentId}
          and term_id = any(${numberArray(termIds)}::bigint[]) and agent_term.document_count > 0
      ) as frequencies
    from agent where tenant_id = ${tx.tenantId} and agent_id = ${agentId}`)
  const [row] = rows
  if (row === undefined) return null
  const counts = Object.entries(row.frequencies ?? {})
  return { agent: toSearchAgent(row), frequencies: new Map(counts.map(([termId, count]) => [Number(termId), count])) }
}

/**
 * The newest memories that were written after a revision, newest first: as many as `limit` and `bytesMax` let in, and one
 * at least. `isWhole` is false when there are more.
 */
export const readNewestChanged = async (
  tx: TenantTransaction,
  {
    agentId,
    afterRevision,
    model,
    limit,
    bytesMax,
  }: { agentId: string; afterRevision: number; model: string; limit: number; bytesMax: number },
): Promise<{ readonly rows: readonly IndexableRow[]; readonly isWhole: boolean }> => {
  const rows = await tx.query<IndexableRow & { readonly found: number }>(sql`
    with newest as materialized (
      select memory_id, revision, octet_length(content) + octet_length(metadata::text) as bytes from memory
      where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and revision > ${afterRevision}
      order by revision desc, memory_id limit ${limit + 1}
    ), summed as materialized (
      select memory_id, count(*) over () as found, row_number() over changes as place, sum(bytes) over changes as bytes_so_far
      from newest window changes as (order by revision desc, memory_id rows unbounded preceding)
    )
    select summed.found, memory.memory_id, memory.revision, memory.content_revision, memory.content, memory.memory_type,
      memory.metadata, memory.source_id, memory.source_position, memory.occurred_at, memory.occurred_offset_minutes,
      memory.expires_at, entry.embedding, entry.error
    from summed cross join lateral (
      select * from memory where tenant_id = ${tx.tenantId} and agent_id = ${agentId}
        and memory.memory_id = summed.memory_id limit 1
    ) as memory left join lateral (
      select embedding, error from index_entry as known
      where known.tenant_id = ${tx.tenantId} and known.agent_id = ${agentId} and known.memory_id = summed.memory_id
        and not known.removed and known.content_revision = memory.content_revision and known.embedding_model = ${model}
      limit 1
    ) as entry on true
    where summed.place <= ${limit} and (summed.place = 1 or summed.bytes_so_far <= ${bytesMax})
    order by summed.place`)
  return { rows, isWhole: rows.length === Number(rows[0]?.found ?? 0) }
}

export const readRemovedSince = async (
  tx: TenantTransaction,
  { agentId, revision }: { agentId: string; revision: number },
): Promise<readonly string[]> => {
  const rows = await tx.query<{ memory_id: string }>(sql`
    select memory_id from index_entry
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and removed and revision > ${revision}`)
  return rows.map((row) => row.memory_id)
}
