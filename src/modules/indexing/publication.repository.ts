/** What the indexer has published, for a cache of the index. */
import type { TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'
import type { IndexableRow } from './index.repository.ts'

export type PublishedChange = Omit<IndexableRow, 'content'> & {
  readonly content: string | null
  readonly published: number
}

/** The last entry that a reader of publications has seen. */
export type PublicationCursor = { readonly published: number; readonly memoryId: string }

export type PublishedPage = {
  readonly publication: number
  /** Removals up to this publication are remembered no more. */
  readonly forgotten: number
  readonly changes: readonly PublishedChange[]
  /** Is there more behind them? */
  readonly more: boolean
}

type Absent<Row> = { readonly [Key in keyof Row]: null }
type PublishedRow = { readonly publication: number; readonly forgotten_publication: number } & (
  | (PublishedChange & { readonly has_next: boolean })
  | (Absent<PublishedChange> & { readonly has_next: null })
)

/**
 * What was published after a cursor, for a cache of the index, in order; null when there is no such space: the agent was
 * erased. An entry that was removed, or whose memory has changed since and is yet to be published again, has no content.
 * One statement, so that the page and the space's numbers are of one moment.
 */
export const readPublishedPage = async (
  tx: TenantTransaction,
  {
    spaceId,
    after,
    model,
    limit,
    bytesMax,
  }: { spaceId: string; after: PublicationCursor; model: string; limit: number; bytesMax: number },
): Promise<PublishedPage | null> => {
  const rows = await tx.query<PublishedRow>(sql`
    select agent.publication, agent.forgotten_publication, change.*
    from agent left join lateral (
      select entry.memory_id, entry.revision, entry.published, memory.content_revision, memory.content,
        memory.memory_type, memory.metadata, memory.source_id, memory.source_position, memory.occurred_at,
        memory.occurred_offset_minutes, memory.expires_at, entry.error,
        case when entry.embedding_model = ${model} and entry.content_revision = memory.content_revision
          then entry.embedding end as embedding, measured.has_next
      from (
        select memory_id, row_number() over in_order as place, sum(bytes) over in_order - bytes as bytes_before,
          lead(memory_id) over in_order is not null as has_next
        from (
          select entry.memory_id, entry.published, coalesce((
              select octet_length(content) from memory where memory.tenant_id = entry.tenant_id
                and memory.agent_id = entry.agent_id and memory.memory_id = entry.memory_id), 0) as bytes
          from index_entry as entry
          where entry.tenant_id = agent.tenant_id and entry.agent_id = agent.agent_id
            and entry.published >= ${after.published}::bigint
            and (entry.published, entry.memory_id) > (${after.published}::bigint, ${after.memoryId})
          order by entry.published, entry.memory_id limit ${limit + 1}
        ) as ahead window in_order as (order by published, memory_id)
      ) as measured
      cross join lateral (
        select * from index_entry as known where known.tenant_id = agent.tenant_id and known.agent_id = agent.agent_id
          and known.memory_id = measured.memory_id limit 1
      ) as entry left join lateral (
        select * from memory as held where held.tenant_id = agent.tenant_id and held.agent_id = agent.agent_id
          and held.memory_id = measured.memory_id and held.revision = entry.revision and not entry.removed limit 1
      ) as memory on true
      where measured.place <= ${limit} and measured.bytes_before < ${bytesMax}
    ) as change on true
    where agent.tenant_id = ${tx.tenantId} and agent.space_id = ${spaceId}
    order by change.published, change.memory_id`)
  const [first] = rows
  if (first === undefined) return null
  const changes = rows.flatMap((row) => (row.memory_id === null ? [] : [row]))
  const more = changes.at(-1)?.has_next === true
  return { publication: first.publication, forgotten: first.forgotten_publication, changes, more }
}
