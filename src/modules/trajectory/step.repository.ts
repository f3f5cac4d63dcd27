/** Steps are the events that trajectories are made of: what was said, what was called, what it changed. */
import type { TenantTransaction } from '../../ports/database.ts'
import { numberArray, sql } from '../../shared/sql.ts'

export type StepDoor = 'http' | 'tool_calls' | 'mcp' | 'policy'

export type RecordedCall = {
  readonly toolCallId: string
  readonly name: string
  readonly arguments: unknown
  readonly status: 'ok' | 'error'
  /** Did memory or context change? */
  readonly effective: boolean
  readonly result: unknown
  readonly problem: unknown
}

/** A turn of the policy's own model: what its prompt was made of, and what the server read and wrote. */
export type Generation = {
  readonly runId: string
  readonly turn: number
  /** As the server names it. */
  readonly model: string
  /** Counts the updates of its weights, where a trainer tells; null: not known. */
  readonly modelVersion: number | null
  readonly promptVersion: string
  /** What the closing note of the prompt told. */
  readonly situation: Readonly<Record<string, unknown>>
  /** The messages of the context that the prompt showed, in order. */
  readonly promptMessageIds: readonly string[]
  /** Functions of the client's own that were offered; null: none. */
  readonly clientTools: readonly unknown[] | null
  /** Null where the server does not give them. */
  readonly promptTokenIds: readonly number[] | null
  readonly output: string
  readonly tokenIds: readonly number[] | null
  /** Of each of `tokenIds`. */
  readonly logprobs: readonly number[] | null
  readonly finishReason: string
  readonly sampling: Readonly<Record<string, unknown>>
  readonly usage: Readonly<Record<string, unknown>>
}

export type NewStep = {
  readonly sessionId: string
  readonly stepId: string
  readonly door: StepDoor
  readonly think: string | null
  readonly answer: string | null
  readonly violations: readonly unknown[]
  readonly contextVersion: number
  /** Once what opens the step has entered the context; its calls move it on. */
  readonly contextVersionAfter: number
  /** Null where the service itself asked no model. */
  readonly generation: Generation | null
}

/** `exists`: a step with this id was opened before; `refused`: the session is closed or gone. */
export type OpenedStep =
  | { readonly outcome: 'opened' | 'exists'; readonly stepOrder: number }
  | { readonly outcome: 'refused' }

/** Takes the session's next step, once per id. */
export const openStep = async (tx: TenantTransaction, step: NewStep): Promise<OpenedStep> => {
  const { generation } = step
  const json = (value: unknown) => (value === null || value === undefined ? null : JSON.stringify(value))
  const numbers = (values: readonly number[] | null | undefined) => (values ? numberArray(values) : null)
  const [row] = await tx.query<{ existing: number | null; opened: number | null }>(sql`
    with existing as (
      select step_order from step
      where tenant_id = ${tx.tenantId} and session_id = ${step.sessionId} and step_id = ${step.stepId}
    ), turn as (
      update session set next_step = next_step + 1
      where tenant_id = ${tx.tenantId} and session_id = ${step.sessionId} and status = 'open'
        and not exists (select from existing)
      returning next_step
    ), recorded as (
      insert into step (tenant_id, session_id, step_id, step_order, door, think, answer, violations,
        context_version_before, context_version_after, run_id, turn, model, model_version, prompt_version, situation,
        prompt_message_ids, client_tools, prompt_token_ids, output, token_ids, logprobs, finish_reason, sampling, usage)
      select ${tx.tenantId}, ${step.sessionId}, ${step.stepId}, next_step, ${step.door}, ${step.think}, ${step.answer},
        ${JSON.stringify(step.violations)}::jsonb, ${step.contextVersion}, ${step.contextVersionAfter},
        ${generation?.runId}, ${generation?.turn}::integer, ${generation?.model}, ${generation?.modelVersion}::bigint,
        ${generation?.promptVersion}, ${json(generation?.situation)}::json, ${generation?.promptMessageIds}::text[],
        ${json(generation?.clientTools)}::json, ${numbers(generation?.promptTokenIds)}::integer[], ${generation?.output},
        ${numbers(generation?.tokenIds)}::integer[], ${numbers(generation?.logprobs)}::double precision[], ${generation?.finishReason},
        ${json(generation?.sampling)}::jsonb, ${json(generation?.usage)}::jsonb
      from turn returning step_order
    )
    select (select step_order from existing) as existing, (select step_order from recorded) as opened`)
  if (row?.opened != null) return { outcome: 'opened', stepOrder: row.opened }
  return row?.existing == null ? { outcome: 'refused' } : { outcome: 'exists', stepOrder: row.existing }
}

/** Adds one call to a step, in the transaction of the call's effect. False: it has been added already. */
export const recordCall = async (
  tx: TenantTransaction,
  {
    sessionId,
    stepId,
    ordinal,
    call,
    contextVersion,
  }: { sessionId: string; stepId: string; ordinal: number; call: RecordedCall; contextVersion: number },
): Promise<boolean> => {
  const rows = await tx.query(sql`
    with stepped as (
      update step set context_version_after = ${contextVersion}
      where tenant_id = ${tx.tenantId} and session_id = ${sessionId} and step_id = ${stepId}
    )
    insert into tool_call (tenant_id, session_id, step_id, ordinal, tool_call_id, name, arguments, status, effective,
      result, problem)
    values (${tx.tenantId}, ${sessionId}, ${stepId}, ${ordinal}, ${call.toolCallId}, ${call.name},
      ${JSON.stringify(call.arguments ?? {})}::json, ${call.status}, ${call.effective},
      ${JSON.stringify(call.result ?? null)}::json, ${JSON.stringify(call.problem ?? null)}::json)
    on conflict do nothing returning 1`)
  return rows.length === 1
}

/** The calls of a step that were recorded, by ordinal. */
export const findCalls = async (
  tx: TenantTransaction,
  { sessionId, stepId }: { sessionId: string; stepId: string },
): Promise<readonly RecordedCall[]> => {
  const rows = await tx.query<{
    tool_call_id: string
    name: string
    arguments: unknown
    status: RecordedCall['status']
    effective: boolean
    result: unknown
    problem: unknown
  }>(sql`
    select tool_call_id, name, arguments, status, effective, result, problem from tool_call
    where tenant_id = ${tx.tenantId} and session_id = ${sessionId} and step_id = ${stepId} order by ordinal`)
  return rows.map(({ tool_call_id, ...call }) => ({ ...call, toolCallId: tool_call_id }))
}
