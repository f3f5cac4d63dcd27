/** A memory as its table has it. */
import type { Metadata } from '../../shared/metadata.ts'
import type { IndexState, Memory } from './memory-types.ts'

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
  readonly occurred_offset_minutes: number | null
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
  /** From when that time counts; an imported memory may be older. */
  readonly written_at: string
}

export type StoredRow = Omit<MemoryRow, 'content_hash'> & {
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
  occurredOffsetMinutes: row.occurred_offset_minutes,
  version: row.version,
  revision: row.revision,
  indexState: row.index_state,
  tokens: row.tokens,
  changedBy: row.changed_by,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  expiresAt: row.expires_at,
})
