import { type Static, type TSchema, Type } from 'typebox'
import { anyObject, refTo } from '../../shared/schema.ts'

const momentSchema = Type.String({ format: 'date-time' })
const orNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
const recordSchema = anyObject()
const partsSchema = Type.Record(Type.String(), Type.Number(), { description: 'What the value was made of, by name.' })
const idsSchema = Type.Array(Type.Integer())

export const rewardKeyPattern = '^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$'
const partKeyPattern = '^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$'
export const doorSchema = Type.Union([
  Type.Literal('http'),
  Type.Literal('tool_calls'),
  Type.Literal('mcp'),
  Type.Literal('policy'),
])

export const newRewardSchema = Type.Object(
  {
    key: Type.String({ pattern: rewardKeyPattern, description: 'Who judges. `default` is what step records carry.' }),
    value: Type.Number(),
    parts: Type.Optional(
      Type.Record(Type.String({ pattern: partKeyPattern }), Type.Number(), {
        additionalProperties: false,
        maxProperties: 64,
        description: 'What the value was made of, by name.',
      }),
    ),
  },
  {
    $id: 'NewReward',
    additionalProperties: false,
    examples: [{ key: 'default', value: 0.61, parts: { task: 1, context: 0.2, penalty: -0.1 } }],
  },
)
export type NewRewardBody = Static<typeof newRewardSchema>

const attachedFields = {
  reward_id: Type.String(),
  value: Type.Number(),
  parts: partsSchema,
  attached_by: Type.String({ description: 'The key that attached it.' }),
  created_at: momentSchema,
}

export const rewardSchema = Type.Object(
  { session_id: Type.String(), key: Type.String(), ...attachedFields },
  { $id: 'Reward' },
)

export const keptRewardSchema = Type.Object(
  {
    key: Type.String(),
    ...attachedFields,
    history: Type.Array(Type.Object(attachedFields), {
      description: 'What it replaced, newest first; 100 at most.',
    }),
  },
  { $id: 'KeptReward' },
)

export const stepCallSchema = Type.Object(
  {
    tool_call_id: Type.String(),
    name: Type.String(),
    arguments: Type.Unknown(),
    status: Type.Union([Type.Literal('ok'), Type.Literal('error')]),
    effective: Type.Boolean({ description: 'Did memory or context change?' }),
    result: Type.Optional(Type.Unknown()),
    problem: Type.Optional(Type.Unknown()),
  },
  { $id: 'StepCall' },
)

export const promptMessageSchema = Type.Object(
  {
    role: Type.String(),
    content: Type.String(),
    name: Type.Optional(Type.String()),
    tool_calls: Type.Optional(Type.Array(refTo<object>('ToolCall'))),
    tool_call_id: Type.Optional(Type.String()),
  },
  { $id: 'PromptMessage' },
)

const promptFields = {
  prompt: Type.Optional(
    orNull(
      Type.Array(Type.Ref('PromptMessage'), {
        description: 'The messages as they were sent, whatever was edited since.',
      }),
    ),
  ),
  prompt_tools: Type.Optional(
    orNull(Type.Array(recordSchema, { description: 'Functions that were offered with them.' })),
  ),
}

const tokenFields = {
  prompt_token_ids: Type.Optional(orNull(idsSchema)),
  token_ids: Type.Optional(orNull(idsSchema)),
  logprobs: Type.Optional(orNull(Type.Array(Type.Number(), { description: 'Of each of `token_ids`.' }))),
}

export const trajectoryStepSchema = Type.Object(
  {
    step_id: Type.String(),
    order: Type.Integer(),
    door: doorSchema,
    run_id: orNull(Type.String()),
    turn: orNull(Type.Integer()),
    model: orNull(Type.String({ description: 'Null: the service itself asked no model.' })),
    model_version: orNull(Type.Integer()),
    prompt_version: orNull(Type.String({ description: "Of the prompt's own texts." })),
    situation: orNull(recordSchema),
    ...promptFields,
    ...tokenFields,
    output: orNull(Type.String()),
    finish_reason: orNull(Type.String()),
    sampling: orNull(recordSchema),
    usage: orNull(recordSchema),
    think: orNull(Type.String()),
    answer: orNull(Type.String()),
    violations: Type.Array(recordSchema),
    calls: Type.Array(refTo<object>('StepCall')),
    context_version_before: Type.Integer(),
    context_version_after: Type.Integer({ description: 'After the last call.' }),
    edits: Type.Array(refTo<object>('Edit'), { description: "Edits of the context that the step's calls made." }),
    created_at: momentSchema,
  },
  { $id: 'TrajectoryStep' },
)

const sessionFields = {
  session_id: Type.String(),
  agent_id: Type.String(),
  status: Type.Union([Type.Literal('open'), Type.Literal('closed')]),
  created_at: Type.String({ format: 'date-time', description: 'Of the session.' }),
}

export const trajectorySchema = Type.Object(
  {
    ...sessionFields,
    rewards: Type.Array(refTo<object>('KeptReward'), { description: 'The one that counts of each key.' }),
    steps: Type.Array(refTo<object>('TrajectoryStep')),
    next_cursor: orNull(Type.String({ description: 'For the next page of steps.' })),
  },
  { $id: 'Trajectory' },
)

export const trajectorySummarySchema = Type.Object(
  {
    ...sessionFields,
    steps: Type.Integer(),
    doors: Type.Array(doorSchema),
    first_step_at: momentSchema,
    last_step_at: momentSchema,
    models: Type.Array(Type.String()),
    usage: Type.Object({
      model_calls: Type.Integer(),
      prompt_tokens: Type.Integer(),
      completion_tokens: Type.Integer(),
    }),
    rewards: Type.Record(Type.String(), Type.Number(), { description: 'The value that counts, by key.' }),
  },
  { $id: 'TrajectorySummary' },
)

export const trajectoryComponents = [
  newRewardSchema,
  rewardSchema,
  keptRewardSchema,
  stepCallSchema,
  promptMessageSchema,
  trajectoryStepSchema,
  trajectorySchema,
  trajectorySummarySchema,
] as const
