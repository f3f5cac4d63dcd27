/** Reads trajectories: sessions that have steps, the steps with what they hold, and what they add up to. */
import type { TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'
import type { Generation, RecordedCall, StepDoor } from './step.repository.ts'
import type { StoredStep, TrajectoryFilter, TrajectorySession, TrajectorySummary } from './trajectory-types.ts'

type StepRow = {
  readonly step_id: string
  readonly step_order: number
  readonly door: StepDoor
  readonly think: string | null
  readonly answer: string | null
  readonly violations: readonly unknown[]
  readonly context_version_before: number
  readonly context_version_after: number
  readonly created_at: string
  readonly model: string | null
  readonly model_version: number | null
  readonly run_id: string
  readonly turn: number
  readonly prompt_version: string
  readonly situation: Generation['situation']
  readonly prompt_message_ids: readonly string[]
  readonly client_tools: readonly unknown[] | null
  readonly prompt_token_ids: readonly number[] | null
  readonly output: string
  readonly token_ids: readonly number[] | null
  readonly logprobs: readonly number[] | null
  readonly finish_reason: string
  readonly sampling: Generation['sampling']
  readonly usage: Generation['usage']
}

const toGeneration = (row: StepRow, model: string): Generation => ({
  runId: row.run_id,
  turn: row.turn,
  model,
  modelVersion: row.model_version,
  promptVersion: row.prompt_version,
  situation: row.situation,
  promptMessageIds: row.prompt_message_ids,
  clientTools: row.client_tools,
  promptTokenIds: row.prompt_token_ids,
  output: row.output,
  tokenIds: row.token_ids,
  logprobs: row.logprobs,
  finishReason: row.finish_reason,
  sampling: row.sampling,
  usage: row.usage,
})

const toStep = (row: StepRow): StoredStep => ({
  stepId: row.step_id,
  stepOrder: row.step_order,
  door: row.door,
  think: row.think,
  answer: row.answer,
  violations: row.violations,
  contextVersionBefore: row.context_version_before,
  contextVersionAfter: row.context_version_after,
  createdAt: row.created_at,
  generation: row.model === null ? null : toGeneration(row, row.model),
})

export type StepsRequest = {
  readonly sessionId: string
  readonly after: number
  readonly limit: number
  /** Of the steps with their calls, and with tokens and the messages of prompts where those are asked for. */
  readonly bytesMax: number
  readonly withTokens: boolean
  readonly withPrompts: boolean
  readonly onlyGenerated: boolean
}

/**
 * The steps of a session in order, from after `after`: up to `limit`, and no more than `bytesMax` together but the last.
 * Says whether there are more. Tokens are read where they are asked for.
 */
export const listSteps = async (
  tx: TenantTransaction,
  { sessionId, withTokens, ...page }: StepsRequest,
): Promise<{ readonly steps: readonly StoredStep[]; readonly hasMore: boolean }> => {
  const rows = await tx.query<StepRow & { readonly found: number }>(sql`
    with page as (
      select step_order, count(*) over () as found, row_number() over (order by step_order) as place,
        sum(bytes) over (order by step_order) - bytes as bytes_before
      from (
        select step_order, step.bytes
          - case when ${withTokens} then 0
              else 4 * coalesce(cardinality(prompt_token_ids), 0) + 12 * coalesce(cardinality(token_ids), 0) end
          + (select coalesce(sum(tool_call.bytes), 0) from tool_call where tool_call.tenant_id = step.tenant_id
              and tool_call.session_id = step.session_id and tool_call.step_id = step.step_id)
          + case when ${page.withPrompts} then (select coalesce(sum(message.bytes), 0) from message
              where message.tenant_id = step.tenant_id and message.session_id = step.session_id
                and message.message_id = any(prompt_message_ids)) else 0 end as bytes
        from step
        where tenant_id = ${tx.tenantId} and session_id = ${sessionId} and step_order > ${page.after}
          and (model is not null or not ${page.onlyGenerated})
        order by step_order limit ${page.limit}::bigint + 1
      ) as read
    )
    select step_id, step.step_order, door, think, answer, violations, context_version_before, context_version_after,
      created_at, run_id, turn, model, model_version, prompt_version, situation, prompt_message_ids, client_tools, output,
      finish_reason, sampling, usage,
      case when ${withTokens} then prompt_token_ids end as prompt_token_ids,
      case when ${withTokens} then token_ids end as token_ids,
      case when ${withTokens} then logprobs end as logprobs, page.found
    from page
    join step on step.tenant_id = ${tx.tenantId} and step.session_id = ${sessionId} and step.step_order = page.step_order
    where page.place <= ${page.limit}::bigint and (page.place = 1 or page.bytes_before < ${page.bytesMax}::bigint)
    order by step.step_order`)
  return { steps: rows.map(toStep), hasMore: (rows[0]?.found ?? 0) > rows.length }
}

/** The calls of several steps, by step. */
export const listCalls = async (
  tx: TenantTransaction,
  { sessionId, stepIds }: { sessionId: string; stepIds: readonly string[] },
): Promise<ReadonlyMap<string, readonly RecordedCall[]>> => {
  const rows = await tx.query<Omit<RecordedCall, 'toolCallId'> & { step_id: string; tool_call_id: string }>(sql`
    select step_id, tool_call_id, name, arguments, status, effective, result, problem from tool_call
    where tenant_id = ${tx.tenantId} and session_id = ${sessionId} and step_id = any(${stepIds}::text[])
    order by step_id, ordinal`)
  const calls = new Map<string, RecordedCall[]>(stepIds.map((stepId) => [stepId, []]))
  for (const { step_id: stepId, tool_call_id: toolCallId, ...call } of rows)
    calls.get(stepId)?.push({ ...call, toolCallId })
  return calls
}

/** Sessions that have steps, by id. */
export const listTrajectorySessions = async (
  tx: TenantTransaction,
  filter: TrajectoryFilter & {
    /** Agents that the key is bound to; null: all. */
    readonly only: readonly string[] | null
    /** With a turn of the policy's own model? */
    readonly onlyGenerated: boolean
    readonly after: string
    readonly limit: number
  },
): Promise<readonly TrajectorySession[]> => {
  const rows = await tx.query<{
    session_id: string
    agent_id: string
    status: TrajectorySession['status']
    created_at: string
  }>(sql`
    select session_id, agent_id, status, created_at from session
    where tenant_id = ${tx.tenantId} and not erasing and session_id > ${filter.after} collate "C" and next_step > 0
      and (${filter.agentId}::text is null or agent_id = ${filter.agentId})
      and (${filter.only}::text[] is null or agent_id = any(${filter.only}::text[]))
      and (${filter.createdAfter}::timestamptz is null or created_at > ${filter.createdAfter}::timestamptz)
      and (${filter.createdBefore}::timestamptz is null or created_at < ${filter.createdBefore}::timestamptz)
      and (${filter.hasReward}::boolean is null or ${filter.hasReward}::boolean = exists (
        select from reward where reward.tenant_id = ${tx.tenantId} and reward.session_id = session.session_id))
      and (${filter.door}::text is null or exists (select from step
        where step.tenant_id = ${tx.tenantId} and step.session_id = session.session_id and step.door = ${filter.door}))
      and (not ${filter.onlyGenerated} or exists (select from step
        where step.tenant_id = ${tx.tenantId} and step.session_id = session.session_id and step.model is not null))
    order by session_id collate "C" limit ${filter.limit}`)
  return rows.map((row) => ({
    sessionId: row.session_id,
    agentId: row.agent_id,
    status: row.status,
    createdAt: row.created_at,
  }))
}

export type TrajectoryTotals = Omit<TrajectorySummary, keyof TrajectorySession | 'rewards'>

/** What the steps of sessions add up to, by session. */
export const readTotals = async (
  tx: TenantTransaction,
  sessionIds: readonly string[],
): Promise<ReadonlyMap<string, TrajectoryTotals>> => {
  const rows = await tx.query<{
    session_id: string
    steps: number
    doors: readonly StepDoor[]
    first_step_at: string
    last_step_at: string
    models: readonly string[]
    model_calls: number
    prompt_tokens: number
    completion_tokens: number
  }>(sql`
    select session_id, count(*) as steps, array_agg(distinct door) as doors, min(created_at) as first_step_at,
      max(created_at) as last_step_at, array_remove(array_agg(distinct model), null) as models, count(model) as model_calls,
      coalesce(sum((usage ->> 'prompt_tokens')::bigint), 0) as prompt_tokens,
      coalesce(sum((usage ->> 'completion_tokens')::bigint), 0) as completion_tokens
    from step where tenant_id = ${tx.tenantId} and session_id = any(${sessionIds}::text[]) group by session_id`)
  return new Map(
    rows.map((row) => [
      row.session_id,
      {
        steps: row.steps,
        doors: row.doors,
        firstStepAt: row.first_step_at,
        lastStepAt: row.last_step_at,
        models: row.models,
        modelCalls: row.model_calls,
        promptTokens: row.prompt_tokens,
        completionTokens: row.completion_tokens,
      },
    ]),
  )
}
