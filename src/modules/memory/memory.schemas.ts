/** JSON of long-term memory, as it crosses the wire. Each component is registered once under its `$id`. */
import { type Static, Type } from 'typebox'
import { clientIdPattern, idPattern } from '../../shared/ids.ts'
import { anyObject, refTo } from '../../shared/schema.ts'
import { differences } from './fact-differences.ts'
import { contentCharactersMax } from './memory-input.ts'

export const metadataSchema = anyObject({
  description: 'Any JSON object up to 8 KiB and 5 levels deep.',
})
const contentSchema = Type.String({ minLength: 1, maxLength: contentCharactersMax, description: 'What to remember.' })
const memoryTypeSchema = Type.String({ minLength: 1, maxLength: 128, description: 'A kind of your own, to filter by.' })
const ttlSchema = Type.Integer({ minimum: 1, maximum: 3_153_600_000, description: 'Seconds until it expires.' })
const momentSchema = Type.String({ format: 'date-time' })
const occurredSchema = Type.String({
  format: 'date-time',
  description:
    'When it happened, of the years 0001 to 9999, kept to the microsecond. It is told in UTC; words for its day are those of the offset that it was sent with.',
})
const offsetSchema = Type.Integer({
  minimum: -1_439,
  maximum: 1_439,
  description: 'Minutes east of UTC of the clock that occurred_at was read from; absent for UTC.',
})

export const sourceSchema = Type.Object(
  {
    source_id: Type.String({ minLength: 1, maxLength: 512 }),
    position: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  },
  {
    $id: 'MemorySource',
    additionalProperties: false,
    description:
      'Where the memory stands in an ordered text, such as the turn of a dialogue. Neighbours help retrieval.',
  },
)

export const duplicateSchema = Type.Object(
  { memory_id: Type.String({ pattern: idPattern('mem') }), similarity: Type.Number() },
  { $id: 'Duplicate', description: 'A stored memory that says the same: update it, or keep both.' },
)

export const relatedSchema = Type.Object(
  {
    memory_id: Type.String({ pattern: idPattern('mem') }),
    similarity: Type.Number(),
    differs: Type.Array(Type.String(), { description: `What differs, of ${differences.join(', ')}.` }),
  },
  {
    $id: 'Related',
    description: 'A stored memory about the same that says something else. If it is out of date now, update it.',
  },
)

export const newMemorySchema = Type.Object(
  {
    content: contentSchema,
    memory_type: Type.Optional(memoryTypeSchema),
    metadata: Type.Optional(metadataSchema),
    ttl_seconds: Type.Optional(
      Type.Union([ttlSchema, Type.Null()], {
        description: "Absent: as the agent's defaults say. Null: it never expires.",
      }),
    ),
    occurred_at: Type.Optional(occurredSchema),
    source: Type.Optional(refTo<Static<typeof sourceSchema>>('MemorySource')),
  },
  {
    $id: 'NewMemory',
    additionalProperties: false,
    examples: [{ content: 'Prefers tea over coffee.', memory_type: 'preference', metadata: { topic: 'drinks' } }],
  },
)
export type NewMemoryBody = Static<typeof newMemorySchema>

export const memoryChangeSchema = Type.Object(
  {
    content: Type.Optional(contentSchema),
    metadata: Type.Optional(metadataSchema),
    memory_type: Type.Optional(Type.Union([memoryTypeSchema, Type.Null()])),
    ttl_seconds: Type.Optional(Type.Union([ttlSchema, Type.Null()])),
  },
  {
    $id: 'MemoryChange',
    additionalProperties: false,
    minProperties: 1,
    description: 'What is given replaces what was there; the previous version is kept.',
    examples: [{ content: 'Prefers green tea.' }],
  },
)
export type MemoryChangeBody = Static<typeof memoryChangeSchema>

export const memorySchema = Type.Object(
  {
    memory_id: Type.String({ pattern: idPattern('mem') }),
    agent_id: Type.String({ pattern: clientIdPattern }),
    content: Type.String(),
    memory_type: Type.Union([Type.String(), Type.Null()]),
    metadata: metadataSchema,
    source: Type.Optional(refTo<Static<typeof sourceSchema>>('MemorySource')),
    occurred_at: Type.Optional(occurredSchema),
    occurred_offset_minutes: Type.Optional(offsetSchema),
    version: Type.Integer(),
    index_state: Type.Union([Type.Literal('pending'), Type.Literal('indexed'), Type.Literal('failed')]),
    tokens: Type.Integer(),
    created_at: momentSchema,
    updated_at: momentSchema,
    expires_at: Type.Union([momentSchema, Type.Null()]),
    duplicate_of: Type.Optional(refTo<Static<typeof duplicateSchema>>('Duplicate')),
    related_to: Type.Optional(refTo<Static<typeof relatedSchema>>('Related')),
    duplicate_check: Type.Optional(
      Type.Union([Type.Literal('near'), Type.Literal('identical'), Type.Literal('skipped'), Type.Literal('off')], {
        description:
          'In answers of additions: what was looked for. `near`: memories that say nearly the same; `identical`: the same words alone, as in a batch; `skipped`: the same words alone, since the check could not be done in time; `off`: nothing, since the threshold is above 1.',
      }),
    ),
  },
  { $id: 'Memory' },
)
export type MemoryBody = Static<typeof memorySchema>

export const memoryVersionSchema = Type.Object(
  {
    version: Type.Integer(),
    content: Type.String(),
    memory_type: Type.Union([Type.String(), Type.Null()]),
    metadata: metadataSchema,
    changed_by: Type.String(),
    created_at: momentSchema,
  },
  { $id: 'MemoryVersion' },
)

export const searchRequestSchema = Type.Object(
  {
    query: Type.String({ minLength: 1, maxLength: contentCharactersMax }),
    top_k: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 10 })),
    mode: Type.Optional(
      Type.Union([Type.Literal('hybrid'), Type.Literal('semantic'), Type.Literal('keyword')], { default: 'hybrid' }),
    ),
    metadata_filter: Type.Optional(metadataSchema),
    memory_type: Type.Optional(memoryTypeSchema),
    min_score: Type.Optional(Type.Number({ description: 'In the unit of the mode: hybrid 0..1, semantic a cosine.' })),
  },
  { $id: 'SearchRequest', additionalProperties: false, examples: [{ query: 'What does the user drink?', top_k: 3 }] },
)
export type SearchBody = Static<typeof searchRequestSchema>

export const searchAnswerSchema = Type.Object(
  {
    results: Type.Array(
      Type.Object({
        memory: refTo<MemoryBody>('Memory'),
        score: Type.Number(),
        scores: Type.Object({ semantic: Type.Optional(Type.Number()), keyword: Type.Optional(Type.Number()) }),
      }),
    ),
    degraded: Type.Array(Type.String(), {
      description: 'Parts that could not take part: embedder, vector_index, index_lag.',
    }),
  },
  { $id: 'SearchAnswer' },
)

/** What an export wrote is accepted as it is; fields that the service sets itself are read over. */
export const importedMemorySchema = Type.Object(
  {
    ...newMemorySchema.properties,
    memory_type: Type.Optional(Type.Union([memoryTypeSchema, Type.Null()])),
    memory_id: Type.Optional(Type.Unknown()),
    occurred_offset_minutes: Type.Optional(offsetSchema),
    created_at: Type.Optional(momentSchema),
    expires_at: Type.Optional(Type.Union([momentSchema, Type.Null()])),
    agent_id: Type.Optional(Type.Unknown()),
    version: Type.Optional(Type.Unknown()),
    index_state: Type.Optional(Type.Unknown()),
    tokens: Type.Optional(Type.Unknown()),
    updated_at: Type.Optional(Type.Unknown()),
    duplicate_of: Type.Optional(Type.Unknown()),
    duplicate_check: Type.Optional(Type.Unknown()),
    related_to: Type.Optional(Type.Unknown()),
  },
  { $id: 'ImportedMemory', additionalProperties: false },
)
export type ImportedMemoryBody = Static<typeof importedMemorySchema>

/** The items are checked one by one, so that a bad one does not refuse the others. */
export const memoryBatchSchema = Type.Object(
  { memories: Type.Array(Type.Unknown({ description: 'A NewMemory.' }), { minItems: 1, maxItems: 500 }) },
  {
    $id: 'MemoryBatch',
    additionalProperties: false,
    examples: [{ memories: [{ content: 'Lives in Porto.' }, { content: 'Has a sister, Ana.' }] }],
  },
)

export const memoryBatchResultSchema = Type.Object(
  {
    results: Type.Array(
      Type.Object({
        index: Type.Integer(),
        status: Type.Union([Type.Literal('created'), Type.Literal('rejected')]),
        memory: Type.Optional(refTo<MemoryBody>('Memory')),
        problem: Type.Optional(refTo<object>('Problem')),
      }),
    ),
  },
  { $id: 'MemoryBatchResult' },
)

export const memoryRevertSchema = Type.Object(
  { version: Type.Integer({ minimum: 1, maximum: 2_147_483_647 }) },
  { $id: 'MemoryRevert', additionalProperties: false, examples: [{ version: 1 }] },
)

export const importResultSchema = Type.Object(
  {
    created: Type.Integer(),
    rejected: Type.Array(Type.Object({ line: Type.Integer(), problem: refTo<object>('Problem') }), {
      description: 'At most 1,000 of them.',
    }),
    rejected_count: Type.Integer(),
  },
  { $id: 'ImportResult' },
)

export const memoryComponents = [
  sourceSchema,
  duplicateSchema,
  relatedSchema,
  newMemorySchema,
  memoryChangeSchema,
  memorySchema,
  memoryVersionSchema,
  searchRequestSchema,
  searchAnswerSchema,
  memoryBatchSchema,
  memoryBatchResultSchema,
  memoryRevertSchema,
  importResultSchema,
] as const
