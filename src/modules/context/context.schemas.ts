import { type Static, Type } from 'typebox'
import { anyObject, refTo } from '../../shared/schema.ts'
import type { NewMessageBody, toolCallSchema } from '../session/session.schemas.ts'

/** Headers of a write to a context. */
export const contextIfMatch = Type.Object({
  'if-match': Type.Optional(Type.String({ maxLength: 1_024, description: "The context's ETag that you read, or *." })),
})

const momentSchema = Type.String({ format: 'date-time' })
const stateSchema = Type.Union([
  Type.Literal('in_context'),
  Type.Literal('summarized'),
  Type.Literal('filtered'),
  Type.Literal('reset'),
  Type.Literal('undone'),
])
const toolCalls = Type.Array(refTo<Static<typeof toolCallSchema>>('ToolCall'))

export const messageSchema = Type.Object(
  {
    message_id: Type.String(),
    role: Type.String(),
    content: Type.String(),
    name: Type.Optional(Type.String()),
    tool_calls: Type.Optional(toolCalls),
    tool_call_id: Type.Optional(Type.String()),
    kind: Type.Union([Type.Literal('appended'), Type.Literal('summary'), Type.Literal('recall')]),
    tokens: Type.Integer(),
    pinned: Type.Boolean(),
    state: stateSchema,
    edit_id: Type.Optional(Type.String({ description: 'The edit that took it out of the context.' })),
    created_at: momentSchema,
  },
  { $id: 'Message' },
)

export const appendSchema = Type.Object(
  { messages: Type.Array(refTo<NewMessageBody>('NewMessage'), { minItems: 1, maxItems: 200 }) },
  {
    $id: 'MessageAppend',
    additionalProperties: false,
    examples: [{ messages: [{ role: 'user', content: 'I moved to Lisbon last week.' }] }],
  },
)

export const appendResultSchema = Type.Object(
  { messages: Type.Array(Type.Ref('Message')), context: Type.Ref('ContextMeasure') },
  { $id: 'MessageAppendResult' },
)

export const messageChangeSchema = Type.Object(
  { pinned: Type.Boolean() },
  { $id: 'MessageChange', additionalProperties: false, examples: [{ pinned: true }] },
)

export const contextSchema = Type.Object(
  {
    version: Type.Integer(),
    tokens: Type.Integer(),
    budget_tokens: Type.Integer(),
    pressure: Type.Number(),
    token_count_source: Type.Union([Type.Literal('tokenizer'), Type.Literal('estimate')]),
    messages: Type.Array(
      Type.Object({
        role: Type.String(),
        content: Type.String(),
        name: Type.Optional(Type.String()),
        tool_calls: Type.Optional(toolCalls),
        tool_call_id: Type.Optional(Type.String()),
      }),
      { description: 'As an OpenAI-compatible chat endpoint takes them.' },
    ),
  },
  { $id: 'Context' },
)

export const editSchema = Type.Object(
  {
    edit_id: Type.String(),
    kind: Type.Union([
      Type.Literal('summary'),
      Type.Literal('filter'),
      Type.Literal('reset'),
      Type.Literal('recall'),
      Type.Literal('undo'),
    ]),
    context_version: Type.Integer({ description: 'The version that the edit made.' }),
    message_ids: Type.Array(Type.String(), { description: 'Messages that it took out of the context.' }),
    added_message_ids: Type.Array(Type.String()),
    restored_message_ids: Type.Array(Type.String()),
    tokens_before: Type.Integer(),
    tokens_after: Type.Integer(),
    prefill_from_position: Type.Integer({ description: "First message that the model's prefix cache does not hold." }),
    details: anyObject(),
    undone_by: Type.Optional(Type.String()),
    created_at: momentSchema,
  },
  { $id: 'Edit' },
)

export const editResultSchema = Type.Object(
  {
    edit: Type.Union([Type.Ref('Edit'), Type.Null()], { description: 'Null: there was nothing to change.' }),
    context: Type.Ref('ContextMeasure'),
  },
  { $id: 'EditResult' },
)

export const contextComponents = [
  messageSchema,
  appendSchema,
  appendResultSchema,
  messageChangeSchema,
  contextSchema,
  editSchema,
  editResultSchema,
] as const
