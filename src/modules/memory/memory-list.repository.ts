/** Memories page by page, and the versions of one. */
import type { TenantTransaction } from '../../ports/database.ts'
import type { Metadata } from '../../shared/metadata.ts'
import { sql } from '../../shared/sql.ts'
import { type StoredRow, toMemory } from './memory-row.ts'
import type { IndexState, Memory, MemoryVersion } from './memory-types.ts'

export type MemoryListFilter = {
  readonly agentId: string
  readonly memoryType: string | null
  readonly metadata: Metadata | null
  readonly createdAfter: string | null
  readonly createdBefore: string | null
  readonly indexState: IndexState | null
  readonly now: string
}

/** A memory's place in the order of creation. */
export type CreationPlace = { readonly createdAt: string; readonly memoryId: string }

export type ListOrder = 'asc' | 'desc'

/** Before all memories, in either order. */
export const startOf = (order: ListOrder): CreationPlace => ({
  createdAt: order === 'asc' ? '-infinity' : 'infinity',
  memoryId: '',
})

/** By creation, those of one moment by id, from after `after`. */
export const listMemories = async (
  tx: TenantTransaction,
  { filter, after, limit, order }: { filter: MemoryListFilter; after: CreationPlace; limit: number; order: ListOrder },
): Promise<readonly Memory[]> => {
  const metadata = JSON.stringify(filter.metadata ?? {})
  const rows =
    order === 'asc'
      ? await tx.query<StoredRow>(sql`
          select * from stored_memory
          where tenant_id = ${tx.tenantId} and agent_id = ${filter.agentId}
            and (created_at, memory_id) > (${after.createdAt}::timestamptz, ${after.memoryId})
            and (expires_at is null or expires_at > ${filter.now}::timestamptz)
            and (${filter.memoryType}::text is null or memory_type = ${filter.memoryType})
            and not exists (select 1 from jsonb_each(${metadata}::jsonb) as wanted
              where filterable -> wanted.key is distinct from wanted.value)
            and (${filter.createdAfter}::timestamptz is null or created_at > ${filter.createdAfter}::timestamptz)
            and (${filter.createdBefore}::timestamptz is null or created_at < ${filter.createdBefore}::timestamptz)
            and (${filter.indexState}::text is null or index_state = ${filter.indexState})
          order by created_at, memory_id limit ${limit}`)
      : await tx.query<StoredRow>(sql`
          select * from stored_memory
          where tenant_id = ${tx.tenantId} and agent_id = ${filter.agentId}
            and (created_at, memory_id) < (${after.createdAt}::timestamptz, ${after.memoryId})
            and (expires_at is null or expires_at > ${filter.now}::timestamptz)
            and (${filter.memoryType}::text is null or memory_type = ${filter.memoryType})
            and not exists (select 1 from jsonb_each(${metadata}::jsonb) as wanted
              where filterable -> wanted.key is distinct from wanted.value)
            and (${filter.createdAfter}::timestamptz is null or created_at > ${filter.createdAfter}::timestamptz)
            and (${filter.createdBefore}::timestamptz is null or created_at < ${filter.createdBefore}::timestamptz)
            and (${filter.indexState}::text is null or index_state = ${filter.indexState})
          order by created_at desc, memory_id desc limit ${limit}`)
  return rows.map(toMemory)
}

/** Unexpired, in the order of creation from after `after`: at most `limit`, and the first ones that fit `bytesMax` of content. */
export const readExportPage = async (
  tx: TenantTransaction,
  {
    agentId,
    after,
    now,
    limit,
    bytesMax,
  }: { agentId: string; after: CreationPlace; now: string; limit: number; bytesMax: number },
): Promise<readonly Memory[]> => {
  const rows = await tx.query<StoredRow>(sql`
    select * from (
      select page.*, sum(octet_length(content)) over (order by created_at, memory_id) - octet_length(content) as bytes_before
      from (
        select * from stored_memory
        where tenant_id = ${tx.tenantId} and agent_id = ${agentId}
          and (created_at, memory_id) > (${after.createdAt}::timestamptz, ${after.memoryId})
          and (expires_at is null or expires_at > ${now}::timestamptz)
        order by created_at, memory_id limit ${limit}
      ) as page
    ) as measured where bytes_before < ${bytesMax} order by created_at, memory_id`)
  return rows.map(toMemory)
}

/** Older versions, the newest first; the present one is the memory itself. */
export const listVersions = async (
  tx: TenantTransaction,
  { agentId, memoryId, before, limit }: { agentId: string; memoryId: string; before: number; limit: number },
): Promise<readonly MemoryVersion[]> => {
  const rows = await tx.query<{
    version: number
    content: string
    memory_type: string | null
    metadata: Metadata
    changed_by: string
    created_at: string
  }>(sql`
    select version, content, memory_type, metadata, changed_by, created_at from memory_version
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and memory_id = ${memoryId} and version < ${before}
    order by version desc limit ${limit}`)
  return rows.map((row) => ({
    version: row.version,
    content: row.content,
    memoryType: row.memory_type,
    metadata: row.metadata,
    changedBy: row.changed_by,
    createdAt: row.created_at,
  }))
}
