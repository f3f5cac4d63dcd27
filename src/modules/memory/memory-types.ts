import type { SourcePosition } from '../../ports/vector-index.ts'
import type { Metadata } from '../../shared/metadata.ts'
import type { Difference } from './fact-differences.ts'

/**
 * `pending`: the index does not hold all of it yet (searches find it all the same); `failed`: the embedder refused its
 * content, so only its words find it.
 */
export type IndexState = 'pending' | 'indexed' | 'failed'

export type Memory = {
  readonly memoryId: string
  readonly agentId: string
  readonly content: string
  readonly memoryType: string | null
  readonly metadata: Metadata
  readonly source: SourcePosition | null
  readonly occurredAt: string | null
  /** Of the clock that `occurredAt` was read from, east of Greenwich; null without one. */
  readonly occurredOffsetMinutes: number | null
  readonly version: number
  readonly revision: number
  readonly indexState: IndexState
  readonly tokens: number
  /** Key id of who wrote this version. */
  readonly changedBy: string
  readonly createdAt: string
  readonly updatedAt: string
  readonly expiresAt: string | null
}

/** An existing memory that says the same. */
export type Duplicate = { readonly memoryId: string; readonly similarity: number }

/**
 * What was looked for when a memory was added: `near`: memories that say nearly the same; `identical`: the same words
 * alone, as in a batch; `skipped`: the same words alone, since there was no time for more; `off`: nothing.
 */
export type DuplicateCheck = 'near' | 'identical' | 'skipped' | 'off'

/** An existing memory about the same that says something else: mostly the one to update. */
export type Related = Duplicate & { readonly differs: readonly Difference[] }

/** One of the two at most. */
export type Similar = { readonly duplicateOf: Duplicate | null; readonly relatedTo: Related | null }

export type AddedMemory = Memory & Similar & { readonly duplicateCheck: DuplicateCheck }

export type MemoryVersion = {
  readonly version: number
  readonly content: string
  readonly memoryType: string | null
  readonly metadata: Metadata
  readonly changedBy: string
  readonly createdAt: string
}

export type NewMemory = {
  readonly content: string
  readonly memoryType?: string | null | undefined
  readonly metadata?: Metadata | undefined
  /** Undefined: as the agent's defaults say; null: it never expires. */
  readonly ttlSeconds?: number | null | undefined
  readonly occurredAt?: string | null | undefined
  readonly source?: SourcePosition | null | undefined
}

export type MemoryChange = {
  readonly content?: string | undefined
  readonly metadata?: Metadata | undefined
  readonly memoryType?: string | null | undefined
  /** Null: it never expires. */
  readonly ttlSeconds?: number | null | undefined
}
