import { type Static, type TSchema, Type } from 'typebox'
import { anyObject, refTo } from '../../shared/schema.ts'

/** Clients send null for what they leave out. */
const optional = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]))

const ignored = 'Fields that are not named here are ignored; docs/chat.md lists what is refused.'

const textPart = Type.Object(
  { type: Type.String(), text: optional(Type.String()), refusal: optional(Type.String()) },
  { additionalProperties: true },
)

const messageToolCall = Type.Object(
  {
    id: Type.String({ minLength: 1, maxLength: 256 }),
    type: Type.String(),
    function: Type.Optional(
      Type.Object(
        { name: Type.String({ minLength: 1, maxLength: 256 }), arguments: Type.String({ maxLength: 131_072 }) },
        { additionalProperties: true },
      ),
    ),
  },
  { additionalProperties: true },
)

export const chatMessageSchema = Type.Object(
  {
    role: Type.Union((['system', 'developer', 'user', 'assistant', 'tool'] as const).map((role) => Type.Literal(role))),
    content: optional(Type.Union([Type.String(), Type.Array(textPart, { maxItems: 1_000 })])),
    name: optional(Type.String({ minLength: 1, maxLength: 256 })),
    tool_calls: optional(Type.Array(messageToolCall, { maxItems: 128 })),
    tool_call_id: optional(Type.String({ minLength: 1, maxLength: 256 })),
  },
  { $id: 'ChatMessage', additionalProperties: true, description: ignored },
)
export type ChatMessageBody = Static<typeof chatMessageSchema>

const clientTool = Type.Object(
  {
    type: Type.String(),
    function: Type.Optional(
      Type.Object(
        {
          name: Type.String({ pattern: '^[A-Za-z0-9_.-]{1,128}$' }),
          description: optional(Type.String()),
          parameters: optional(anyObject()),
        },
        { additionalProperties: true },
      ),
    ),
  },
  { additionalProperties: true },
)

const stopWord = Type.String({ minLength: 1, maxLength: 256 })

export const chatCompletionRequestSchema = Type.Object(
  {
    model: Type.String({ maxLength: 512, description: 'The name that `GET /v1/models` gives, or `agemem`.' }),
    messages: Type.Array(refTo<ChatMessageBody>('ChatMessage'), { minItems: 1, maxItems: 2_000 }),
    stream: optional(Type.Boolean()),
    stream_options: optional(Type.Object({ include_usage: optional(Type.Boolean()) }, { additionalProperties: true })),
    temperature: optional(Type.Number({ minimum: 0, maximum: 2 })),
    top_p: optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
    max_tokens: optional(Type.Integer({ minimum: 1, maximum: 131_072, description: 'Of each turn.' })),
    max_completion_tokens: optional(Type.Integer({ minimum: 1, maximum: 131_072, description: 'Of each turn.' })),
    seed: optional(Type.Integer({ minimum: -9_007_199_254_740_991, maximum: 9_007_199_254_740_991 })),
    stop: optional(Type.Union([stopWord, Type.Array(stopWord, { maxItems: 8 })])),
    n: optional(Type.Integer({ minimum: 1, maximum: 128 })),
    tools: optional(Type.Array(clientTool, { maxItems: 128 })),
    tool_choice: Type.Optional(Type.Unknown({ description: '`auto` or `none`.' })),
  },
  {
    $id: 'ChatCompletionRequest',
    additionalProperties: true,
    description: ignored,
    examples: [{ model: 'agemem', messages: [{ role: 'user', content: 'What am I allergic to?' }] }],
  },
)
export type ChatCompletionBody = Static<typeof chatCompletionRequestSchema>

const usage = Type.Object(
  {
    prompt_tokens: Type.Integer(),
    completion_tokens: Type.Integer(),
    total_tokens: Type.Integer(),
    prompt_tokens_details: Type.Optional(Type.Object({ cached_tokens: Type.Integer() })),
  },
  { description: 'Of all turns together.' },
)

const extension = Type.Object({
  session_id: Type.String(),
  run_id: Type.String(),
  step_ids: Type.Array(Type.String()),
  context: Type.Ref('ContextMeasure'),
})

const finishReason = Type.Union((['stop', 'length', 'tool_calls'] as const).map((reason) => Type.Literal(reason)))

export const chatCompletionSchema = Type.Object(
  {
    id: Type.String({ description: 'The run.' }),
    object: Type.Literal('chat.completion'),
    created: Type.Integer(),
    model: Type.String(),
    choices: Type.Array(
      Type.Object({
        index: Type.Integer(),
        message: Type.Object({
          role: Type.Literal('assistant'),
          content: Type.Union([Type.String(), Type.Null()]),
          refusal: Type.Null(),
          tool_calls: Type.Optional(Type.Array(Type.Ref('ToolCall'))),
        }),
        logprobs: Type.Null(),
        finish_reason: finishReason,
      }),
    ),
    usage,
    agemem: extension,
  },
  { $id: 'ChatCompletion' },
)

export const modelListSchema = Type.Object(
  {
    object: Type.Literal('list'),
    data: Type.Array(
      Type.Object({
        id: Type.String(),
        object: Type.Literal('model'),
        created: Type.Integer(),
        owned_by: Type.String(),
      }),
      { description: 'Empty: the service has no model.' },
    ),
  },
  { $id: 'ModelList' },
)

export const chatComponents = [
  chatMessageSchema,
  chatCompletionRequestSchema,
  chatCompletionSchema,
  modelListSchema,
] as const
