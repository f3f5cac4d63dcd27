/** From what a client sent to rows that can be stored; everything that can be refused is refused here, before any write. */
import type { Tokenizer } from '../../ports/tokenizer.ts'
import { isBlank } from '../../shared/blank-text.ts'
import type { FieldError } from '../../shared/errors.ts'
import { type Metadata, metadataErrors } from '../../shared/metadata.ts'
import { readMoment } from '../../shared/moment.ts'
import { contentHashOf } from './content-hash.ts'
import { memoryInvalid } from './memory.errors.ts'
import type { NewMemoryRow } from './memory-row.ts'
import type { NewMemory } from './memory-types.ts'

export const contentCharactersMax = 32_768

/** Code points, as JSON Schema counts; no more of them than are needed to know that they are too many. */
const countCharacters = (text: string): number => {
  const cut = text.slice(0, 2 * contentCharactersMax + 1)
  return cut.length - (cut.match(/[\uD800-\uDBFF][\uDC00-\uDFFF]/g)?.length ?? 0)
}

const contentErrors = (content: string): FieldError[] => {
  if (isBlank(content)) return [{ pointer: '/content', detail: 'must hold more than white space' }]
  if (content.length > contentCharactersMax && countCharacters(content) > contentCharactersMax)
    return [{ pointer: '/content', detail: `must not be longer than ${contentCharactersMax} characters` }]
  return []
}

/** @throws AppError `memory.invalid` (422) naming each field to mend */
export const ensureStorable = ({
  content,
  metadata,
  memoryType,
}: {
  content?: string | undefined
  memoryType?: string | null | undefined
  metadata?: Metadata | undefined
}) => {
  const errors = [
    ...(content === undefined ? [] : contentErrors(content)),
    ...(metadata === undefined ? [] : metadataErrors(metadata)),
    ...(typeof memoryType === 'string' && isBlank(memoryType)
      ? [{ pointer: '/memory_type', detail: 'must hold more than white space' }]
      : []),
  ]
  if (errors.length > 0) throw memoryInvalid(errors)
}

/** When a memory with this time to live expires; null: never. */
export const expiryOf = (ttlSeconds: number | null, nowMs: number): string | null =>
  ttlSeconds === null ? null : new Date(nowMs + ttlSeconds * 1000).toISOString()

export type NewMemoryIds = {
  readonly agentId: string
  readonly memoryId: string
  /** Of the agent, if this is its first memory. */
  readonly spaceId: string
  readonly changedBy: string
}

export const newMemoryRow = (
  memory: NewMemory,
  { ids, nowMs, tokenizer }: { ids: NewMemoryIds; nowMs: number; tokenizer: Tokenizer },
): NewMemoryRow => {
  ensureStorable(memory)
  const occurred = typeof memory.occurredAt === 'string' ? readMoment(memory.occurredAt, '/occurred_at') : null
  return {
    agent_id: ids.agentId,
    space_id: ids.spaceId,
    memory_id: ids.memoryId,
    changed_by: ids.changedBy,
    content: memory.content,
    memory_type: memory.memoryType ?? null,
    metadata: memory.metadata ?? {},
    source_id: memory.source?.sourceId ?? null,
    source_position: memory.source?.position ?? null,
    occurred_at: occurred?.utc ?? null,
    occurred_offset_minutes: occurred?.offsetMinutes ?? null,
    content_hash: contentHashOf(memory.content),
    tokens: tokenizer.countText(memory.content),
    created_at: new Date(nowMs).toISOString(),
    expires_at: expiryOf(memory.ttlSeconds ?? null, nowMs),
    uses_default_ttl: memory.ttlSeconds === undefined,
    written_at: new Date(nowMs).toISOString(),
  }
}
