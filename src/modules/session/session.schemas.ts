import { type Static, Type } from 'typebox'
import { clientIdPattern } from '../../shared/ids.ts'
import { anyObject, refTo } from '../../shared/schema.ts'

const momentSchema = Type.String({ format: 'date-time' })
const metadataSchema = anyObject()
const statusSchema = Type.Union([Type.Literal('open'), Type.Literal('closed')])

export const contextMeasureSchema = Type.Object(
  {
    version: Type.Integer(),
    tokens: Type.Integer(),
    budget_tokens: Type.Integer(),
    pressure: Type.Number({ description: 'Tokens over budget: 1 is full.' }),
  },
  { $id: 'ContextMeasure' },
)

export const sessionOptionsSchema = Type.Object(
  {
    filter_threshold: Type.Optional(Type.Number({ minimum: -1, maximum: 2 })),
    top_k: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
    summary_style: Type.Optional(Type.Union([Type.Literal('bullets'), Type.Literal('prose')])),
    auto_summary_at: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 10,
        description: 'Pressure from which an append is followed by a summary of all that may be summarised.',
      }),
    ),
  },
  { $id: 'SessionOptions', additionalProperties: false },
)
export type SessionOptionsBody = Static<typeof sessionOptionsSchema>

export const toolCallSchema = Type.Object(
  {
    id: Type.String({ minLength: 1, maxLength: 256 }),
    type: Type.Literal('function'),
    function: Type.Object(
      { name: Type.String({ minLength: 1, maxLength: 256 }), arguments: Type.String({ maxLength: 131_072 }) },
      { additionalProperties: false },
    ),
  },
  { $id: 'ToolCall', additionalProperties: false, description: 'As OpenAI has it; arguments is JSON text.' },
)

export const messageBytesMax = 131_072

export const newMessageSchema = Type.Object(
  {
    role: Type.Union([Type.Literal('system'), Type.Literal('user'), Type.Literal('assistant'), Type.Literal('tool')]),
    content: Type.Union([
      Type.String({ maxLength: messageBytesMax, description: 'Up to 128 KiB of UTF-8.' }),
      Type.Null(),
    ]),
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    tool_calls: Type.Optional(
      Type.Array(refTo<Static<typeof toolCallSchema>>('ToolCall'), { minItems: 1, maxItems: 128 }),
    ),
    tool_call_id: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    pinned: Type.Optional(Type.Boolean({ description: 'SUMMARY, FILTER and reset never touch it.' })),
  },
  {
    $id: 'NewMessage',
    additionalProperties: false,
    examples: [{ role: 'user', content: 'I moved to Lisbon last week.' }],
  },
)
export type NewMessageBody = Static<typeof newMessageSchema>

export const newSessionSchema = Type.Object(
  {
    agent_id: Type.String({ pattern: clientIdPattern, description: 'Comes into being with its first session.' }),
    session_id: Type.Optional(Type.String({ pattern: clientIdPattern })),
    budget_tokens: Type.Optional(Type.Integer({ minimum: 256, maximum: 10_000_000 })),
    metadata: Type.Optional(metadataSchema),
    options: Type.Optional(refTo<SessionOptionsBody>('SessionOptions')),
    messages: Type.Optional(Type.Array(refTo<NewMessageBody>('NewMessage'), { maxItems: 200 })),
  },
  {
    $id: 'NewSession',
    additionalProperties: false,
    examples: [
      {
        agent_id: 'support-bot:user-42',
        budget_tokens: 8192,
        messages: [{ role: 'system', content: 'You help with travel plans.' }],
      },
    ],
  },
)
export type NewSessionBody = Static<typeof newSessionSchema>

export const sessionSchema = Type.Object(
  {
    session_id: Type.String(),
    agent_id: Type.String(),
    status: statusSchema,
    options: refTo<SessionOptionsBody>('SessionOptions'),
    metadata: metadataSchema,
    context: refTo<Static<typeof contextMeasureSchema>>('ContextMeasure'),
    created_at: momentSchema,
    updated_at: momentSchema,
    closed_at: Type.Union([momentSchema, Type.Null()]),
  },
  { $id: 'Session' },
)

export const sessionComponents = [
  contextMeasureSchema,
  sessionOptionsSchema,
  toolCallSchema,
  newMessageSchema,
  newSessionSchema,
  sessionSchema,
] as const
