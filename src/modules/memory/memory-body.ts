/** Memory between the wire's snake_case and the domain's camelCase. */

import type { ImportedMemoryBody, MemoryBody, MemoryChangeBody, NewMemoryBody } from './memory.schemas.ts'
import type { ImportedMemory } from './memory-import.ts'
import type { AddedMemory, Memory, MemoryChange, MemoryVersion, NewMemory, Similar } from './memory-types.ts'
import type { SearchResult } from './read-best.ts'

export const toSimilarBody = ({ duplicateOf, relatedTo }: Similar) => ({
  ...(duplicateOf === null
    ? {}
    : { duplicate_of: { memory_id: duplicateOf.memoryId, similarity: duplicateOf.similarity } }),
  ...(relatedTo === null
    ? {}
    : {
        related_to: {
          memory_id: relatedTo.memoryId,
          similarity: relatedTo.similarity,
          differs: [...relatedTo.differs],
        },
      }),
})

export const toMemoryBody = (memory: Memory | AddedMemory): MemoryBody => {
  return {
    memory_id: memory.memoryId,
    agent_id: memory.agentId,
    content: memory.content,
    memory_type: memory.memoryType,
    metadata: memory.metadata as Record<string, unknown>,
    ...(memory.source === null
      ? {}
      : { source: { source_id: memory.source.sourceId, position: memory.source.position } }),
    ...(memory.occurredAt === null ? {} : { occurred_at: memory.occurredAt }),
    ...(memory.occurredOffsetMinutes ? { occurred_offset_minutes: memory.occurredOffsetMinutes } : {}),
    version: memory.version,
    index_state: memory.indexState,
    tokens: memory.tokens,
    created_at: memory.createdAt,
    updated_at: memory.updatedAt,
    expires_at: memory.expiresAt,
    ...('duplicateOf' in memory ? { ...toSimilarBody(memory), duplicate_check: memory.duplicateCheck } : {}),
  }
}

export const fromNewMemoryBody = (body: NewMemoryBody): NewMemory => ({
  content: body.content,
  memoryType: body.memory_type,
  metadata: body.metadata,
  ttlSeconds: body.ttl_seconds,
  occurredAt: body.occurred_at,
  source: body.source === undefined ? null : { sourceId: body.source.source_id, position: body.source.position },
})

export const fromImportedBody = (body: ImportedMemoryBody): ImportedMemory => ({
  ...fromNewMemoryBody({ ...body, memory_type: body.memory_type ?? undefined } as NewMemoryBody),
  occurredOffsetMinutes: body.occurred_offset_minutes,
  createdAt: body.created_at,
  expiresAt: body.expires_at,
})

export const fromChangeBody = (body: MemoryChangeBody): MemoryChange => ({
  content: body.content,
  metadata: body.metadata,
  memoryType: body.memory_type,
  ttlSeconds: body.ttl_seconds,
})

export const toVersionBody = (version: MemoryVersion) => ({
  version: version.version,
  content: version.content,
  memory_type: version.memoryType,
  metadata: version.metadata,
  changed_by: version.changedBy,
  created_at: version.createdAt,
})

export const toResultBody = ({ memory, score, scores }: SearchResult) => ({
  memory: toMemoryBody(memory),
  score,
  scores,
})
