import { Type } from 'typebox'
import { anyObject } from '../../shared/schema.ts'
import { toolKeys } from './tool-definitions.ts'

export const toolAnswerSchema = Type.Object(
  {
    tool: Type.Union(toolKeys.map((key) => Type.Literal(key))),
    step_id: Type.String(),
    result: anyObject(),
    context: Type.Ref('ContextMeasure'),
    degraded: Type.Array(Type.String(), {
      description:
        'Parts that could not take part, and were stood in for. `embedder` of FILTER: the messages that it did not come to stayed (`result.not_compared` of them); call again for the rest. `duplicates` of ADD: near duplicates were not looked for.',
    }),
  },
  { $id: 'ToolAnswer' },
)

export const modelOutputSchema = Type.Object(
  {
    output: Type.Optional(
      Type.String({ maxLength: 1_048_576, description: 'Raw text: <think>, then <tool_call> or <answer>.' }),
    ),
    tool_calls: Type.Optional(Type.Array(Type.Unknown(), { maxItems: 1_000, description: 'As OpenAI has them.' })),
    append: Type.Optional(Type.Boolean({ description: 'Store the assistant message and the tool messages.' })),
  },
  {
    $id: 'ModelOutput',
    additionalProperties: false,
    examples: [
      {
        output:
          '<think>Worth keeping.</think><tool_call>[{"name":"Add_memory","arguments":{"content":"Moved to Lisbon."}}]</tool_call>',
      },
    ],
  },
)
export type ModelOutputBody = { output?: string; tool_calls?: unknown[]; append?: boolean }

export const callAnswerSchema = Type.Object(
  {
    tool_call_id: Type.String(),
    name: Type.String(),
    status: Type.Union([Type.Literal('ok'), Type.Literal('error')]),
    result: Type.Optional(Type.Unknown()),
    problem: Type.Optional(Type.Unknown()),
  },
  { $id: 'CallAnswer' },
)

export const violationSchema = Type.Object(
  { code: Type.String(), detail: Type.String(), count: Type.Integer() },
  { $id: 'Violation', description: "How a model's output departed from the step format." },
)

export const stepAnswerSchema = Type.Object(
  {
    step_id: Type.String(),
    think: Type.Optional(Type.String()),
    answer: Type.Optional(Type.String()),
    calls: Type.Array(Type.Ref('CallAnswer')),
    messages: Type.Array(
      Type.Object({ role: Type.Literal('tool'), tool_call_id: Type.String(), content: Type.String() }),
      { description: 'To append after the assistant message that made the calls.' },
    ),
    violations: Type.Array(Type.Ref('Violation')),
    context: Type.Ref('ContextMeasure'),
  },
  { $id: 'StepAnswer' },
)

export const toolListSchema = Type.Object({ tools: Type.Array(anyObject()) }, { $id: 'ToolList' })

export const toolComponents = [
  toolAnswerSchema,
  modelOutputSchema,
  callAnswerSchema,
  violationSchema,
  stepAnswerSchema,
  toolListSchema,
] as const
