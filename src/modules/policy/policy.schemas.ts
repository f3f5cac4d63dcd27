import { type Static, type TProperties, Type } from 'typebox'
import { refTo } from '../../shared/schema.ts'
import type { NewMessageBody } from '../session/session.schemas.ts'

export const samplingSchema = Type.Object(
  {
    temperature: Type.Optional(Type.Number({ minimum: 0, maximum: 2 })),
    top_p: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
    max_tokens: Type.Optional(Type.Integer({ minimum: 1, maximum: 131_072, description: 'Of each turn.' })),
    seed: Type.Optional(Type.Integer({ minimum: 0, maximum: 9_007_199_254_740_991 })),
    stop: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { maxItems: 8 })),
  },
  { $id: 'Sampling', additionalProperties: false, description: 'What is not given is as configured.' },
)
export type SamplingBody = Static<typeof samplingSchema>

const input = Type.Optional(
  Type.Union(
    [
      Type.String({ minLength: 1, maxLength: 131_072 }),
      Type.Array(refTo<NewMessageBody>('NewMessage'), { minItems: 1, maxItems: 200 }),
    ],
    {
      description: 'A user message, or messages, appended before the first turn.',
    },
  ),
)

export const policyStepRequestSchema = Type.Object(
  { input, sampling: Type.Optional(refTo<SamplingBody>('Sampling')) },
  { $id: 'PolicyStepRequest', additionalProperties: false, examples: [{ input: 'What am I allergic to?' }] },
)

export const policyRunRequestSchema = Type.Object(
  {
    input,
    mode: Type.Optional(
      Type.Union([Type.Literal('answer'), Type.Literal('observe')], {
        default: 'answer',
        description: '`observe`: tend memory and context, and give no answer.',
      }),
    ),
    steps_max: Type.Optional(Type.Integer({ minimum: 1, maximum: 50 })),
    deadline_ms: Type.Optional(Type.Integer({ minimum: 100, maximum: 600_000 })),
    sampling: Type.Optional(refTo<SamplingBody>('Sampling')),
  },
  {
    $id: 'PolicyRunRequest',
    additionalProperties: false,
    examples: [{ input: 'What am I allergic to?', steps_max: 5 }],
  },
)
export type PolicyRunBody = {
  input?: string | NewMessageBody[]
  mode?: 'answer' | 'observe'
  steps_max?: number
  deadline_ms?: number
  sampling?: SamplingBody
}

export const modelUsageSchema = Type.Object(
  {
    model_calls: Type.Integer(),
    prompt_tokens: Type.Integer(),
    completion_tokens: Type.Integer(),
    cached_tokens: Type.Union([Type.Integer(), Type.Null()], {
      description: "Prompt tokens from the server's prefix cache; null: it does not tell.",
    }),
  },
  { $id: 'ModelUsage' },
)

const stepFields = {
  step_id: Type.String(),
  turn: Type.Integer(),
  think: Type.Optional(Type.String()),
  answer: Type.Optional(Type.String()),
  calls: Type.Array(Type.Ref('CallAnswer')),
  violations: Type.Array(Type.Ref('Violation')),
  finish_reason: Type.String({ description: 'Why the model stopped writing: `stop`, `length` or `tool_calls`.' }),
  usage: Type.Ref('ModelUsage'),
  context: Type.Ref('ContextMeasure'),
} satisfies TProperties

export const policyStepSchema = Type.Object(
  { ...stepFields, run_id: Type.Optional(Type.String()) },
  { $id: 'PolicyStep' },
)

export const policyRunSchema = Type.Object(
  {
    run_id: Type.String(),
    answer: Type.Union([Type.String(), Type.Null()]),
    finish_reason: Type.Union(
      (['answer', 'steps_max', 'deadline', 'cancelled'] as const).map((reason) => Type.Literal(reason)),
    ),
    steps: Type.Array(Type.Ref('PolicyStep')),
    usage: Type.Ref('ModelUsage'),
    context: Type.Ref('ContextMeasure'),
  },
  { $id: 'PolicyRun' },
)

export const policyComponents = [
  samplingSchema,
  policyStepRequestSchema,
  policyRunRequestSchema,
  modelUsageSchema,
  policyStepSchema,
  policyRunSchema,
] as const
