/** New memories, and the agents that come into being with their first. */
import type { TenantTransaction } from '../../ports/database.ts'
import { brokenInvariant } from '../../shared/errors.ts'
import { sql } from '../../shared/sql.ts'
import { type NewMemoryRow, toMemory } from './memory-row.ts'
import type { Memory } from './memory-types.ts'

export type InsertedMemory = Memory & {
  /** An older memory of the agent with the same words. */
  readonly identicalTo: string | null
  /** The agent's own, null where it uses the service's. */
  readonly agentDuplicateThreshold: number | null
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
  readonly duplicate_threshold: number | null
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
      select * from json_to_recordset(${JSON.stringify(rows)}::json) as row(agent_id text, space_id text, memory_id text,
        content text, memory_type text, metadata jsonb, source_id text, source_position bigint,
        occurred_at timestamptz, occurred_offset_minutes smallint, content_hash bigint, tokens integer, changed_by text, created_at timestamptz,
        expires_at timestamptz, uses_default_ttl boolean, written_at timestamptz)
    ), clock as (
      insert into agent as kept (tenant_id, agent_id, space_id, revision, memory_count, memory_tokens)
      select ${tx.tenantId}, agent_id, min(space_id), 1, count(*), sum(tokens)
      from input group by agent_id order by agent_id
      on conflict (tenant_id, agent_id) do update set revision = kept.revision + 1,
        memory_count = kept.memory_count + excluded.memory_count,
        memory_tokens = kept.memory_tokens + excluded.memory_tokens, updated_at = now()
      returning agent_id, revision,
        make_interval(secs => (defaults ->> 'memory_ttl_seconds')::double precision) as default_ttl,
        (defaults ->> 'duplicate_threshold')::double precision as duplicate_threshold
    )
    insert into memory as written (tenant_id, agent_id, memory_id, content, memory_type, metadata, source_id,
      source_position, occurred_at, occurred_offset_minutes, revision, content_revision, content_hash, tokens, changed_by, created_at,
      updated_at, expires_at)
    select ${tx.tenantId}, input.agent_id, input.memory_id, input.content, input.memory_type, input.metadata,
      input.source_id, input.source_position, input.occurred_at, input.occurred_offset_minutes, clock.revision, clock.revision, input.content_hash,
      input.tokens, input.changed_by, input.created_at, input.created_at,
      case when input.uses_default_ttl then input.written_at + clock.default_ttl else input.expires_at end
    from input join clock on clock.agent_id = input.agent_id
    returning written.memory_id, written.revision, written.expires_at,
      find_identical(written) as identical_to,
      (select clock.duplicate_threshold from clock where clock.agent_id = written.agent_id) as duplicate_threshold`)
  const byId = new Map(inserted.map((row) => [row.memory_id, row]))
  const alike = firstAlike(rows)
  return rows.map((row) => {
    const stored = byId.get(row.memory_id)
    if (stored === undefined) throw brokenInvariant('An inserted memory is not among those that were stored.')
    const first = alike.get(`${row.agent_id} ${row.content_hash}`)
    return {
      ...toMemory({ ...row, ...stored, version: 1, updated_at: row.created_at, index_state: 'pending' }),
      agentDuplicateThreshold: stored.duplicate_threshold,
      identicalTo: stored.identical_to ?? (first === row.memory_id ? null : (first ?? null)),
    }
  })
}
