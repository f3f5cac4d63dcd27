import type { SystemTransaction, TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'
import type { AuditEvent, Quotas, Tenant, TenantStatus, Usage } from './tenant-types.ts'

type TenantRow = {
  readonly tenant_id: string
  readonly name: string
  readonly status: TenantStatus
  readonly requests_per_second: number | null
  readonly memories_max: number | null
  readonly stored_bytes_max: number | null
  readonly model_tokens_per_day_max: number | null
  readonly created_at: string
  readonly updated_at: string
}

const toTenant = (row: TenantRow): Tenant => ({
  tenantId: row.tenant_id,
  name: row.name,
  status: row.status,
  quotas: {
    requestsPerSecond: row.requests_per_second,
    memoriesMax: row.memories_max,
    storedBytesMax: row.stored_bytes_max,
    modelTokensPerDayMax: row.model_tokens_per_day_max,
  },
  createdAt: row.created_at,
  updatedAt: row.updated_at,
})

export const insertTenant = async (
  tx: TenantTransaction,
  { name, quotas }: { name: string; quotas: Quotas },
): Promise<Tenant> => {
  const rows = await tx.query<TenantRow>(sql`
    insert into tenant (tenant_id, name, requests_per_second, memories_max, stored_bytes_max, model_tokens_per_day_max)
    values (${tx.tenantId}, ${name}, ${quotas.requestsPerSecond}, ${quotas.memoriesMax}, ${quotas.storedBytesMax},
      ${quotas.modelTokensPerDayMax})
    returning *`)
  return toTenant(rows[0] as TenantRow)
}

export const findTenant = async (tx: TenantTransaction): Promise<Tenant | null> => {
  const rows = await tx.query<TenantRow>(sql`select * from tenant where tenant_id = ${tx.tenantId}`)
  return rows[0] === undefined ? null : toTenant(rows[0])
}

export const updateTenant = async (
  tx: TenantTransaction,
  { name, quotas }: { name: string; quotas: Quotas },
): Promise<Tenant | null> => {
  const rows = await tx.query<TenantRow>(sql`
    update tenant set name = ${name}, requests_per_second = ${quotas.requestsPerSecond},
      memories_max = ${quotas.memoriesMax}, stored_bytes_max = ${quotas.storedBytesMax},
      model_tokens_per_day_max = ${quotas.modelTokensPerDayMax}, updated_at = now()
    where tenant_id = ${tx.tenantId} returning *`)
  return rows[0] === undefined ? null : toTenant(rows[0])
}

export const setTenantStatus = async (tx: TenantTransaction, status: TenantStatus): Promise<Tenant | null> => {
  const rows = await tx.query<TenantRow>(sql`
    update tenant set status = ${status}, updated_at = now() where tenant_id = ${tx.tenantId} returning *`)
  return rows[0] === undefined ? null : toTenant(rows[0])
}

/** What is left of a tenant once its agents are erased: its keys and stored answers go, the row stays as a receipt. */
export const deleteTenantRest = async (tx: TenantTransaction): Promise<void> => {
  await tx.query(sql`delete from api_key where tenant_id = ${tx.tenantId}`)
  await tx.query(sql`delete from idempotency_key where tenant_id = ${tx.tenantId}`)
  await tx.query(sql`delete from model_usage where tenant_id = ${tx.tenantId}`)
  await tx.query(
    sql`update tenant set name = '', status = 'deleted', updated_at = now() where tenant_id = ${tx.tenantId}`,
  )
}

export const listTenants = async (
  tx: SystemTransaction | TenantTransaction,
  { after, limit }: { after: string; limit: number },
): Promise<readonly Tenant[]> =>
  (await tx.query<TenantRow>(sql`select * from list_tenants(${after}, ${limit})`)).map(toTenant)

export const findDeletingTenants = async (tx: SystemTransaction, limit: number): Promise<readonly string[]> =>
  (await tx.query<{ tenant_id: string }>(sql`select * from find_deleting_tenants(${limit})`)).map(
    (row) => row.tenant_id,
  )

/** `only`: of these agents; null: of all. */
export const readUsage = async (
  tx: TenantTransaction,
  only: readonly string[] | null = null,
): Promise<Omit<Usage, 'quotas' | 'modelTokensToday'>> => {
  const rows = await tx.query<
    Record<'agents' | 'sessions' | 'memories' | 'memory_tokens' | 'stored_bytes', number>
  >(sql`
    select count(*) as agents, coalesce(sum(session_count), 0) as sessions, coalesce(sum(memory_count), 0) as memories,
      coalesce(sum(memory_tokens), 0) as memory_tokens, coalesce(sum(stored_bytes), 0) as stored_bytes
    from agent where tenant_id = ${tx.tenantId} and (${only}::text[] is null or agent_id = any(${only}::text[]))`)
  const [row] = rows
  return {
    agents: row?.agents ?? 0,
    sessions: row?.sessions ?? 0,
    memories: row?.memories ?? 0,
    memoryTokens: row?.memory_tokens ?? 0,
    storedBytes: row?.stored_bytes ?? 0,
  }
}

export const insertAuditEvent = async (tx: TenantTransaction, event: Omit<AuditEvent, 'createdAt'>): Promise<void> => {
  await tx.query(sql`
    insert into audit_event (tenant_id, audit_event_id, actor, action, target, details, request_id)
    values (${tx.tenantId}, ${event.auditEventId}, ${event.actor}, ${event.action}, ${event.target},
      ${JSON.stringify(event.details)}::jsonb, ${event.requestId})`)
}

/**
 * The newest first; `before` is the last id of the page before, or empty. `only`: what was done to keys that are bound to
 * these agents and no others; null: all.
 */
export const listAuditEvents = async (
  tx: TenantTransaction,
  { only, before, limit }: { only: readonly string[] | null; before: string; limit: number },
): Promise<readonly AuditEvent[]> => {
  const rows = await tx.query<{
    audit_event_id: string
    actor: string
    action: string
    target: string
    details: Record<string, unknown>
    request_id: string
    created_at: string
  }>(sql`
    select * from audit_event where tenant_id = ${tx.tenantId} and (${before} = '' or audit_event_id < ${before})
      and (${only}::text[] is null
        or (jsonb_typeof(details->'agent_ids') = 'array' and details->'agent_ids' <@ to_jsonb(${only}::text[])))
    order by audit_event_id desc limit ${limit}`)
  return rows.map((row) => ({
    auditEventId: row.audit_event_id,
    actor: row.actor,
    action: row.action,
    target: row.target,
    details: row.details,
    requestId: row.request_id,
    createdAt: row.created_at,
  }))
}

/** The row that all first starts wait for, one after another. */
export const lockInstallation = async (tx: TenantTransaction): Promise<{ readonly operatorKeyHash: Buffer | null }> => {
  const rows = await tx.query<{ operator_key_hash: Buffer | null }>(sql`
    select operator_key_hash from installation for update`)
  return { operatorKeyHash: rows[0]?.operator_key_hash ?? null }
}

export const findOperatorKeyHash = async (tx: SystemTransaction): Promise<Buffer | null> => {
  const rows = await tx.query<{ operator_key_hash: Buffer | null }>(sql`select operator_key_hash from installation`)
  return rows[0]?.operator_key_hash ?? null
}

export const storeOperatorKeyHash = async (tx: TenantTransaction, hash: Buffer): Promise<void> => {
  await tx.query(sql`update installation set operator_key_hash = ${hash}`)
}
