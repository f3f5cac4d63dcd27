import type { SystemTransaction, TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'
import { fromRetentionBody, toRetentionBody } from './retention-body.ts'
import type { RetentionBody } from './tenant.schemas.ts'
import {
  type Quotas,
  type Retention,
  type SettableStatus,
  type StoredKind,
  storedKinds,
  type Tenant,
  type TenantStatus,
  type Usage,
} from './tenant-types.ts'

type TenantRow = {
  readonly tenant_id: string
  readonly name: string
  readonly status: TenantStatus
  readonly requests_per_second: number | null
  readonly memories_max: number | null
  readonly stored_bytes_max: number | null
  readonly model_tokens_per_day_max: number | null
  readonly retention: RetentionBody
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
  retention: fromRetentionBody(row.retention),
  createdAt: row.created_at,
  updatedAt: row.updated_at,
})

type TenantValues = { readonly name: string; readonly quotas: Quotas; readonly retention: Retention }
type ChangedValues = TenantValues & { readonly status: SettableStatus }

/** What is kept for ever is left out. */
const retentionJson = (retention: Retention): string =>
  JSON.stringify(Object.fromEntries(Object.entries(toRetentionBody(retention)).filter(([, time]) => time !== null)))

/** Null when there is a tenant with that id; waits for who is just making it. */
export const insertTenant = async (
  tx: TenantTransaction,
  { name, quotas, retention }: TenantValues,
): Promise<Tenant | null> => {
  const rows = await tx.query<TenantRow>(sql`
    insert into tenant (tenant_id, name, requests_per_second, memories_max, stored_bytes_max, model_tokens_per_day_max,
      retention)
    values (${tx.tenantId}, ${name}, ${quotas.requestsPerSecond}, ${quotas.memoriesMax}, ${quotas.storedBytesMax},
      ${quotas.modelTokensPerDayMax}, ${retentionJson(retention)}::jsonb)
    on conflict do nothing returning *`)
  return rows[0] === undefined ? null : toTenant(rows[0])
}

export const findTenant = async (tx: TenantTransaction): Promise<Tenant | null> => {
  const rows = await tx.query<TenantRow>(sql`select * from tenant where tenant_id = ${tx.tenantId}`)
  return rows[0] === undefined ? null : toTenant(rows[0])
}

/** Held until the end of the transaction, so that of two changes at once neither undoes the other. */
export const lockTenant = async (tx: TenantTransaction): Promise<Tenant | null> => {
  const rows = await tx.query<TenantRow>(sql`
    select * from tenant where tenant_id = ${tx.tenantId} for no key update`)
  return rows[0] === undefined ? null : toTenant(rows[0])
}

export const updateTenant = async (
  tx: TenantTransaction,
  { name, quotas, retention, status }: ChangedValues,
): Promise<Tenant | null> => {
  const rows = await tx.query<TenantRow>(sql`
    update tenant set name = ${name}, status = ${status}, requests_per_second = ${quotas.requestsPerSecond},
      memories_max = ${quotas.memoriesMax}, stored_bytes_max = ${quotas.storedBytesMax},
      model_tokens_per_day_max = ${quotas.modelTokensPerDayMax}, retention = ${retentionJson(retention)}::jsonb,
      updated_at = now()
    where tenant_id = ${tx.tenantId} returning *`)
  return rows[0] === undefined ? null : toTenant(rows[0])
}

export const setTenantStatus = async (tx: TenantTransaction, status: TenantStatus): Promise<Tenant | null> => {
  const rows = await tx.query<TenantRow>(sql`
    update tenant set status = ${status}, updated_at = now() where tenant_id = ${tx.tenantId} returning *`)
  return rows[0] === undefined ? null : toTenant(rows[0])
}

/**
 * What is left of a tenant once its agents are erased: its keys and stored answers go. Its row, its audit and its
 * erasures stay as receipts that name nobody: that something was done, when, and how much was removed.
 */
export const deleteTenantRest = async (tx: TenantTransaction): Promise<void> => {
  await tx.query(sql`delete from api_key where tenant_id = ${tx.tenantId}`)
  await tx.query(sql`delete from model_usage where tenant_id = ${tx.tenantId}`)
  await tx.query(sql`delete from idempotency_key where tenant_id = ${tx.tenantId}`)
  // First the receipts: who completes one at the same time leaves its audit event before their lock is given back.
  await tx.query(sql`update erasure set agent_id = '' where tenant_id = ${tx.tenantId}`)
  await tx.query(sql`
    update audit_event set actor = case when actor = 'operator' then actor else '' end,
      target = case when target = tenant_id then target else '' end, agent_ids = null, details = '{}', request_id = ''
    where tenant_id = ${tx.tenantId}`)
  await tx.query(sql`
    update tenant set name = '', status = 'deleted', retention = '{}', updated_at = now()
    where tenant_id = ${tx.tenantId}`)
  // The lock of the usage is the last that anybody takes.
  await tx.query(sql`delete from tenant_usage where tenant_id = ${tx.tenantId}`)
  await tx.query(sql`delete from agent_usage where tenant_id = ${tx.tenantId}`)
  await tx.query(sql`delete from usage_delta where tenant_id = ${tx.tenantId}`)
}

export const listTenants = async (
  tx: SystemTransaction,
  { after, limit }: { after: string; limit: number },
): Promise<readonly Tenant[]> =>
  (await tx.query<TenantRow>(sql`select * from list_tenants(${after}, ${limit})`)).map(toTenant)

export const findDeletingTenants = async (tx: SystemTransaction, limit: number): Promise<readonly string[]> =>
  (await tx.query<{ tenant_id: string }>(sql`select * from find_deleting_tenants(${limit})`)).map(
    (row) => row.tenant_id,
  )

/** Active tenants that have something kept for a time only, by id. */
export const findRetainingTenants = async (
  tx: SystemTransaction,
  after: string,
  limit: number,
): Promise<readonly string[]> =>
  (await tx.query<{ tenant_id: string }>(sql`select * from find_retaining_tenants(${after}, ${limit})`)).map(
    (row) => row.tenant_id,
  )

/** Tenants of which something was counted that is not added up yet. */
export const findUnfoldedTenants = async (tx: SystemTransaction, limit: number): Promise<readonly string[]> =>
  (await tx.query<{ tenant_id: string }>(sql`select * from find_unfolded_tenants(${limit})`)).map(
    (row) => row.tenant_id,
  )

/** Adds up to `limit` counts to the sums; answers how many. Nothing is left of what has nothing any more. */
export const foldUsage = async (tx: TenantTransaction, limit: number): Promise<number> => {
  const [row] = await tx.query<{ folded: number }>(sql`select folded from fold_usage(${tx.tenantId}, ${limit})`)
  await tx.query(sql`delete from agent_usage where tenant_id = ${tx.tenantId} and items = 0 and bytes = 0`)
  return row?.folded ?? 0
}

/** `only`: of these agents; null: of the whole tenant. One statement, so that no write is counted twice or missed. */
export const readUsage = async (
  tx: TenantTransaction,
  { only }: { readonly only: readonly string[] | null },
): Promise<Omit<Usage, 'quotas' | 'modelTokensToday'>> => {
  const rows = await tx.query<
    Record<'agents' | 'sessions' | 'memories' | 'memory_tokens', number> & {
      readonly bytes: Readonly<Record<string, number>> | null
    }
  >(sql`
    select count(*) as agents, coalesce(sum(session_count), 0) as sessions, coalesce(sum(memory_count), 0) as memories,
      coalesce(sum(memory_tokens), 0) as memory_tokens,
      (select jsonb_object_agg(kind, bytes) from (
        select kind, sum(bytes) as bytes from (
          select agent_id, kind, bytes from agent_usage where tenant_id = ${tx.tenantId}
          union all select agent_id, kind, bytes from usage_delta where tenant_id = ${tx.tenantId}
        ) as counted
        where ${only}::text[] is null or agent_id = any(${only}::text[]) group by kind
      ) as by_kind) as bytes
    from agent where tenant_id = ${tx.tenantId} and (${only}::text[] is null or agent_id = any(${only}::text[]))`)
  const [row] = rows
  const bytesOf = (kind: StoredKind): number => row?.bytes?.[kind] ?? 0
  return {
    agents: row?.agents ?? 0,
    sessions: row?.sessions ?? 0,
    memories: row?.memories ?? 0,
    memoryTokens: row?.memory_tokens ?? 0,
    storedBytes: storedKinds.reduce((sum, kind) => sum + bytesOf(kind), 0),
    bytesByKind: Object.fromEntries(storedKinds.map((kind) => [kind, bytesOf(kind)])) as Usage['bytesByKind'],
  }
}

/** Is there any tenant at all? Says nothing of whose. */
export const hasTenants = async (tx: TenantTransaction): Promise<boolean> => {
  const rows = await tx.query<{ has_tenants: boolean }>(sql`select has_tenants()`)
  return rows[0]?.has_tenants === true
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
