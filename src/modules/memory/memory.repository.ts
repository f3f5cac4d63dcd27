import type { TenantTransaction } from '../../ports/database.ts'
import { brokenInvariant } from '../../shared/errors.ts'
import type { Metadata } from '../../shared/metadata.ts'
import { sql } from '../../shared/sql.ts'
import type { IndexState, Memory, MemoryVersion } from './memory-types.ts'

/** A row to write; everything derived is computed before the transaction. */
export type MemoryRow = {
  readonly agent_id: string
  readonly memory_id: string
  readonly content: string
  readonly memory_type: string | null
  readonly metadata: Metadata
  readonly source_id: string | null
  readonly source_position: number | null
  readonly occurred_at: string | null
  readonly content_hash: string
  readonly tokens: number
  readonly created_at: string
  readonly expires_at: string | null
}

/** A row of a memory that is new, with what its agent needs if this is its first. */
export type NewMemoryRow = MemoryRow & {
  readonly space_id: string
  readonly changed_by: string
  /** Does the agent's default time to live say when it expires? */
  readonly uses_default_ttl: boolean
}

type StoredRow = Omit<MemoryRow, 'content_hash'> & {
  readonly version: number
  readonly revision: number
  readonly changed_by: string
  readonly updated_at: string
  readonly index_state: IndexState
}

export const toMemory = (row: StoredRow): Memory => ({
  memoryId: row.memory_id,
  agentId: row.agent_id,
  content: row.content,
  memoryType: row.memory_type,
  metadata: row.metadata,
  source:
    row.source_id === null || row.source_position === null
      ? null
      : { sourceId: row.source_id, position: row.source_position },
  occurredAt: row.occurred_at,
  version: row.version,
  revision: row.revision,
  indexState: row.index_state,
  tokens: row.tokens,
  changedBy: row.changed_by,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  expiresAt: row.expires_at,
})

export type InsertedMemory = Memory & {
  /** An older memory of the agent with the same words. */
  readonly identicalTo: string | null
}

/** The first row of each agent with the same words, among the rows themselves. */
const firstAlike = (rows: readonly NewMemoryRow[]): ReadonlyMap<string, string> => {
  const first = new Map<string, string>()
  for (const { agent_id, content_hash, memory_id } of rows) {
    const key = `${agent_id} ${content_hash}`
    if (!first.has(key)) first.set(key, memory_id)
  }
  return first
}

type Inserted = {
  readonly memory_id: string
  readonly revision: number
  readonly expires_at: string | null
  readonly identical_to: string | null
}

/**
 * Inserts the rows, those of one agent under one new revision of it; an agent comes into being with its first. One
 * statement, so that clock and rows are one. Agents are locked in the order of their ids, so that two inserts never wait
 * for each other. Answers in the order of the rows.
 */
export const insertMemories = async (
  tx: TenantTransaction,
  rows: readonly NewMemoryRow[],
): Promise<readonly InsertedMemory[]> => {
  const inserted = await tx.query<Inserted>(sql`
    with input as (
      select *, octet_length(content) + octet_length(metadata::text) as bytes
      from json_to_recordset(${JSON.stringify(rows)}::json) as row(agent_id text, space_id text, memory_id text,
        content text, memory_type text, metadata jsonb, source_id text, source_position bigint,
        occurred_at timestamptz, content_hash bigint, tokens integer, changed_by text, created_at timestamptz,
        expires_at timestamptz, uses_default_ttl boolean)
    ), clock as (
      insert into agent as kept (tenant_id, agent_id, space_id, revision, memory_count, memory_tokens, stored_bytes)
      select ${tx.tenantId}, agent_id, min(space_id), 1, count(*), sum(tokens), sum(bytes)
      from input group by agent_id order by agent_id
      on conflict (tenant_id, agent_id) do update set revision = kept.revision + 1,
        memory_count = kept.memory_count + excluded.memory_count,
        memory_tokens = kept.memory_tokens + excluded.memory_tokens,
        stored_bytes = kept.stored_bytes + excluded.stored_bytes, updated_at = now()
      returning agent_id, revision,
        make_interval(secs => (defaults ->> 'memory_ttl_seconds')::double precision) as default_ttl
    )
    insert into memory as written (tenant_id, agent_id, memory_id, content, memory_type, metadata, source_id,
      source_position, occurred_at, revision, content_revision, content_hash, tokens, changed_by, created_at,
      updated_at, expires_at)
    select ${tx.tenantId}, input.agent_id, input.memory_id, input.content, input.memory_type, input.metadata,
      input.source_id, input.source_position, input.occurred_at, clock.revision, clock.revision, input.content_hash,
      input.tokens, input.changed_by, input.created_at, input.created_at,
      case when input.uses_default_ttl then input.created_at + clock.default_ttl else input.expires_at end
    from input join clock on clock.agent_id = input.agent_id
    returning written.memory_id, written.revision, written.expires_at,
      (select older.memory_id from memory as older where older.tenant_id = written.tenant_id
        and older.agent_id = written.agent_id and older.content_hash = written.content_hash
        and (older.expires_at is null or older.expires_at > written.created_at) limit 1) as identical_to`)
  const byId = new Map(inserted.map((row) => [row.memory_id, row]))
  const alike = firstAlike(rows)
  return rows.map((row) => {
    const stored = byId.get(row.memory_id)
    if (stored === undefined) throw brokenInvariant('An inserted memory is not among those that were stored.')
    const first = alike.get(`${row.agent_id} ${row.content_hash}`)
    return {
      ...toMemory({ ...row, ...stored, version: 1, updated_at: row.created_at, index_state: 'pending' }),
      identicalTo: stored.identical_to ?? (first === row.memory_id ? null : (first ?? null)),
    }
  })
}

/** Which of the ids the agent has, its row locked so that this stays so. */
export const lockKnownIds = async (
  tx: TenantTransaction,
  { agentId, memoryIds }: { agentId: string; memoryIds: readonly string[] },
): Promise<ReadonlySet<string>> => {
  const rows = await tx.query<{ memory_id: string }>(sql`
    with locked as (
      select tenant_id, agent_id from agent
      where tenant_id = ${tx.tenantId} and agent_id = ${agentId} for no key update
    )
    select wanted.memory_id from unnest(${memoryIds}::text[]) as wanted(memory_id)
    where exists (select 1 from locked join memory on memory.tenant_id = locked.tenant_id
      and memory.agent_id = locked.agent_id and memory.memory_id = wanted.memory_id)`)
  return new Set(rows.map((row) => row.memory_id))
}

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
      select *, octet_length(content) + octet_length(metadata::text) as bytes from memory
      where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and memory_id = ${memoryId}
    ), kept as (
      insert into memory_version (tenant_id, agent_id, memory_id, version, content, memory_type, metadata, changed_by,
        created_at)
      select tenant_id, agent_id, memory_id, version, content, memory_type, metadata, changed_by, updated_at from before
    ), clock as (
      update agent set revision = agent.revision + 1, updated_at = now(),
        memory_tokens = agent.memory_tokens + ${after.tokens} - before.tokens,
        stored_bytes = agent.stored_bytes + octet_length(${after.content}::text) + octet_length(${metadata}::jsonb::text)
          - before.bytes
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
 * Erases the memories with their versions at once and leaves removed entries, without content, for the index. With
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
      returning memory_id, tokens, octet_length(content) + octet_length(metadata::text) as bytes
    ), versions as (
      delete from memory_version where tenant_id = ${tx.tenantId} and agent_id = ${agentId}
        and memory_id in (select memory_id from gone)
    ), clock as (
      update agent set revision = revision + 1, updated_at = now(),
        memory_count = memory_count - (select count(*) from gone),
        memory_tokens = memory_tokens - (select coalesce(sum(tokens), 0) from gone),
        stored_bytes = greatest(0, stored_bytes - (select coalesce(sum(bytes), 0) from gone))
      where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and exists (select 1 from gone)
      returning revision
    ), removed as (
      insert into index_entry as entry (tenant_id, agent_id, memory_id, revision, removed)
      select ${tx.tenantId}, ${agentId}, gone.memory_id, clock.revision, true from gone, clock
      on conflict (tenant_id, agent_id, memory_id) do update set revision = excluded.revision, removed = true,
        embedding = null, embedding_model = null, content_revision = null, error = null
    )
    select memory_id from gone`)
  return rows.map((row) => row.memory_id)
}

export type MemoryListFilter = {
  readonly agentId: string
  readonly memoryType: string | null
  readonly metadata: Metadata | null
  readonly createdAfter: string | null
  readonly createdBefore: string | null
  readonly indexState: IndexState | null
  readonly now: string
}

/** By id, which is creation order, from after `after` (`` starts). */
export const listMemories = async (
  tx: TenantTransaction,
  { filter, after, limit, order }: { filter: MemoryListFilter; after: string; limit: number; order: 'asc' | 'desc' },
): Promise<readonly Memory[]> => {
  const metadata = JSON.stringify(filter.metadata ?? {})
  const rows =
    order === 'asc'
      ? await tx.query<StoredRow>(sql`
          select * from stored_memory
          where tenant_id = ${tx.tenantId} and agent_id = ${filter.agentId} and memory_id > ${after}
            and (expires_at is null or expires_at > ${filter.now}::timestamptz)
            and (${filter.memoryType}::text is null or memory_type = ${filter.memoryType})
            and not exists (select 1 from jsonb_each(${metadata}::jsonb) as wanted
              where filterable -> wanted.key is distinct from wanted.value)
            and (${filter.createdAfter}::timestamptz is null or created_at > ${filter.createdAfter}::timestamptz)
            and (${filter.createdBefore}::timestamptz is null or created_at < ${filter.createdBefore}::timestamptz)
            and (${filter.indexState}::text is null or index_state = ${filter.indexState})
          order by memory_id limit ${limit}`)
      : await tx.query<StoredRow>(sql`
          select * from stored_memory
          where tenant_id = ${tx.tenantId} and agent_id = ${filter.agentId}
            and (${after} = '' or memory_id < ${after})
            and (expires_at is null or expires_at > ${filter.now}::timestamptz)
            and (${filter.memoryType}::text is null or memory_type = ${filter.memoryType})
            and not exists (select 1 from jsonb_each(${metadata}::jsonb) as wanted
              where filterable -> wanted.key is distinct from wanted.value)
            and (${filter.createdAfter}::timestamptz is null or created_at > ${filter.createdAfter}::timestamptz)
            and (${filter.createdBefore}::timestamptz is null or created_at < ${filter.createdBefore}::timestamptz)
            and (${filter.indexState}::text is null or index_state = ${filter.indexState})
          order by memory_id desc limit ${limit}`)
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
