/** Who did what with keys and tenants, and which agents were erased. */
import type { TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'
import type { AuditEvent } from './tenant-types.ts'

export const insertAuditEvent = async (tx: TenantTransaction, event: Omit<AuditEvent, 'createdAt'>): Promise<void> => {
  await tx.query(sql`
    insert into audit_event (tenant_id, audit_event_id, actor, action, target, agent_ids, details, request_id)
    values (${tx.tenantId}, ${event.auditEventId}, ${event.actor}, ${event.action}, ${event.target},
      ${event.agentIds}::text[], ${JSON.stringify(event.details)}::jsonb, ${event.requestId})`)
}

/**
 * The newest first; `before` is the last id of the page before, or empty. `only`: about these agents and no others;
 * null: all.
 */
export const listAuditEvents = async (
  tx: TenantTransaction,
  { before, limit, only }: { before: string; limit: number; only: readonly string[] | null },
): Promise<readonly AuditEvent[]> => {
  const rows = await tx.query<{
    audit_event_id: string
    actor: string
    action: string
    target: string
    agent_ids: readonly string[] | null
    details: Record<string, unknown>
    request_id: string
    created_at: string
  }>(sql`
    select * from audit_event where tenant_id = ${tx.tenantId} and (${before} = '' or audit_event_id < ${before})
      and (${only}::text[] is null or agent_ids <@ ${only}::text[])
    order by audit_event_id desc limit ${limit}`)
  return rows.map((row) => ({
    auditEventId: row.audit_event_id,
    actor: row.actor,
    action: row.action,
    target: row.target,
    agentIds: row.agent_ids,
    details: row.details,
    requestId: row.request_id,
    createdAt: row.created_at,
  }))
}
