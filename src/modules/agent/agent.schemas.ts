import { type Static, Type } from 'typebox'
import { clientIdPattern, idPattern } from '../../shared/ids.ts'
import { anyObject } from '../../shared/schema.ts'

const momentSchema = Type.String({ format: 'date-time' })
const objectSchema = anyObject()

export const agentDefaultsSchema = Type.Object(
  {
    budget_tokens: Type.Optional(Type.Integer({ minimum: 256, maximum: 10_000_000 })),
    filter_threshold: Type.Optional(Type.Number({ minimum: -1, maximum: 2 })),
    top_k: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
    duplicate_threshold: Type.Optional(
      Type.Number({ minimum: 0, maximum: 2, description: 'Above 1 turns the check for near duplicates off.' }),
    ),
    memory_ttl_seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 3_153_600_000 })),
  },
  {
    $id: 'AgentDefaults',
    additionalProperties: false,
    description: "What the agent's sessions and memories start with.",
  },
)
export type AgentDefaultsBody = Static<typeof agentDefaultsSchema>

export const agentSchema = Type.Object(
  {
    agent_id: Type.String({ pattern: clientIdPattern }),
    metadata: objectSchema,
    defaults: Type.Ref('AgentDefaults'),
    memory_count: Type.Integer(),
    session_count: Type.Integer(),
    memory_tokens: Type.Integer(),
    revision: Type.Integer({ description: 'Grows by one with each write to its memory.' }),
    index_lag: Type.Integer({
      description: 'Revisions that the index does not hold yet. Searches see them all the same.',
    }),
    created_at: momentSchema,
    updated_at: momentSchema,
  },
  { $id: 'Agent' },
)

export const agentChangeSchema = Type.Object(
  {
    metadata: Type.Optional(objectSchema),
    defaults: Type.Optional(Type.Unsafe<AgentDefaultsBody>(Type.Ref('AgentDefaults'))),
  },
  {
    $id: 'AgentChange',
    additionalProperties: false,
    minProperties: 1,
    description: 'What is given replaces what was there.',
    examples: [{ defaults: { budget_tokens: 4096 } }],
  },
)
export type AgentChangeBody = Static<typeof agentChangeSchema>

export const erasureSchema = Type.Object(
  {
    erasure_id: Type.String({ pattern: idPattern('era') }),
    agent_id: Type.String(),
    status: Type.Union([Type.Literal('pending'), Type.Literal('completed')]),
    requested_at: momentSchema,
    completed_at: Type.Optional(momentSchema),
    stores: Type.Array(Type.Object({ store: Type.String(), removed: Type.Integer() })),
  },
  { $id: 'Erasure', description: 'A receipt: what was removed from which store.' },
)

export const agentComponents = [agentDefaultsSchema, agentSchema, agentChangeSchema, erasureSchema] as const
