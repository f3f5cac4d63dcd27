/** What a search reads from PostgreSQL beside the index. */
import type { TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'

export type SearchAgent = {
  readonly spaceId: string
  readonly documentCount: number
  readonly indexedRevision: number
  readonly behind: boolean
  /** The agent's own, null where it uses the service's. */
  readonly duplicateThreshold: number | null
}

export const findSearchAgent = async (tx: TenantTransaction, agentId: string): Promise<SearchAgent | null> => {
  const rows = await tx.query<{
    space_id: string
    document_count: number
    revision: number
    indexed_revision: number
    duplicate_threshold: number | null
  }>(sql`
    select space_id, document_count, revision, indexed_revision,
      (defaults ->> 'duplicate_threshold')::double precision as duplicate_threshold from agent
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId}`)
  const row = rows[0]
  if (row === undefined) return null
  return {
    spaceId: row.space_id,
    documentCount: row.document_count,
    indexedRevision: row.indexed_revision,
    behind: row.revision > row.indexed_revision,
    duplicateThreshold: row.duplicate_threshold,
  }
}

export const readDocumentFrequencies = async (
  tx: TenantTransaction,
  { agentId, termIds }: { agentId: string; termIds: readonly number[] },
): Promise<ReadonlyMap<number, number>> => {
  const rows = await tx.query<{ term_id: number; document_count: number }>(sql`
    select term_id, document_count from agent_term
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and term_id = any(${termIds}::bigint[])
      and document_count > 0`)
  return new Map(rows.map((row) => [row.term_id, row.document_count]))
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
