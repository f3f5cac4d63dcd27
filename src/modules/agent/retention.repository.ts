/**
 * Removes what is past the time that its tenant wants it kept, a batch at a time. Sessions are taken where nobody holds
 * them, so no batch waits for a writer and no writer for more than one batch.
 */
import type { TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'

type Batch = { readonly days: number; readonly limit: number }

/** Sessions that were not changed for so long and in which no run is under way. */
export const findIdleSessions = (tx: TenantTransaction, { days, limit }: Batch) =>
  tx.query<{ agent_id: string; session_id: string }>(sql`
    select agent_id, session_id from session
    where tenant_id = ${tx.tenantId} and updated_at <= now() - make_interval(days => ${days})
      and (run_until is null or run_until < clock_timestamp())
      and not exists (select from step where step.tenant_id = session.tenant_id
        and step.session_id = session.session_id and step.created_at > now() - make_interval(days => ${days}))
    order by updated_at limit ${limit}`)

/** Those of the sessions that are still idle, their rows locked; the agent's row is locked already. */
export const lockIdleSessions = async (
  tx: TenantTransaction,
  { agentId, sessionIds, days }: { agentId: string; sessionIds: readonly string[]; days: number },
): Promise<readonly string[]> => {
  const rows = await tx.query<{ session_id: string }>(sql`
    select session_id from session
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and session_id = any(${sessionIds}::text[])
      and updated_at <= now() - make_interval(days => ${days})
      and (run_until is null or run_until < clock_timestamp())
    order by session_id for update skip locked`)
  return rows.map((row) => row.session_id)
}

const lockFreeSessions = async (
  tx: TenantTransaction,
  rows: readonly { readonly session_id: string }[],
): Promise<readonly string[]> => {
  const locked = await tx.query<{ session_id: string }>(sql`
    select session_id from session
    where tenant_id = ${tx.tenantId} and session_id = any(${rows.map((row) => row.session_id)}::text[])
    order by session_id for no key update skip locked`)
  return locked.map((row) => row.session_id)
}

/** Answers how many steps are gone, their calls with them. */
export const purgeSteps = async (tx: TenantTransaction, { days, limit }: Batch): Promise<number> => {
  const found = await tx.query<{ session_id: string }>(sql`
    select distinct session_id from (
      select session_id from step
      where tenant_id = ${tx.tenantId} and created_at <= now() - make_interval(days => ${days})
      order by created_at limit ${limit}
    ) as over`)
  const sessionIds = await lockFreeSessions(tx, found)
  const rows = await tx.query(sql`
    with over as materialized (
      select session_id, step_id from step
      where tenant_id = ${tx.tenantId} and session_id = any(${sessionIds}::text[])
        and created_at <= now() - make_interval(days => ${days}) limit ${limit}
    ), gone_call as (
      delete from tool_call using over where tool_call.tenant_id = ${tx.tenantId}
        and tool_call.session_id = over.session_id and tool_call.step_id = over.step_id
    )
    delete from step using over where step.tenant_id = ${tx.tenantId} and step.session_id = over.session_id
      and step.step_id = over.step_id
    returning 1`)
  return rows.length
}

/**
 * Edits of that age with the messages that they took out; what came back into the context since, or was never out,
 * stays. Answers how many edits are gone.
 */
export const purgeEdits = async (tx: TenantTransaction, { days, limit }: Batch): Promise<number> => {
  const found = await tx.query<{ session_id: string }>(sql`
    select distinct session_id from (
      select session_id from context_edit
      where tenant_id = ${tx.tenantId} and created_at <= now() - make_interval(days => ${days})
      order by created_at limit ${limit}
    ) as over`)
  const sessionIds = await lockFreeSessions(tx, found)
  const rows = await tx.query(sql`
    with over as materialized (
      select session_id, edit_id from context_edit
      where tenant_id = ${tx.tenantId} and session_id = any(${sessionIds}::text[])
        and created_at <= now() - make_interval(days => ${days}) limit ${limit}
    ), gone_message as (
      delete from message using over where message.tenant_id = ${tx.tenantId}
        and message.session_id = over.session_id and message.edit_id = over.edit_id and message.state <> 'in_context'
    )
    delete from context_edit using over where context_edit.tenant_id = ${tx.tenantId}
      and context_edit.session_id = over.session_id and context_edit.edit_id = over.edit_id
    returning 1`)
  return rows.length
}

export const purgeAudit = async (tx: TenantTransaction, { days, limit }: Batch): Promise<number> => {
  const rows = await tx.query(sql`
    with over as materialized (
      select audit_event_id from audit_event
      where tenant_id = ${tx.tenantId} and created_at <= now() - make_interval(days => ${days}) limit ${limit}
    )
    delete from audit_event as event using over
    where event.tenant_id = ${tx.tenantId} and event.audit_event_id = over.audit_event_id returning 1`)
  return rows.length
}

/** Receipts of erasures that are complete. */
export const purgeErasures = async (tx: TenantTransaction, { days, limit }: Batch): Promise<number> => {
  const rows = await tx.query(sql`
    with over as materialized (
      select erasure_id from erasure where tenant_id = ${tx.tenantId} and status = 'completed'
        and completed_at <= now() - make_interval(days => ${days}) limit ${limit}
    )
    delete from erasure as receipt using over
    where receipt.tenant_id = ${tx.tenantId} and receipt.erasure_id = over.erasure_id returning 1`)
  return rows.length
}
