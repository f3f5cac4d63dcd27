import type { TenantTransaction } from '../../ports/database.ts'
import type { Scope } from '../../shared/caller.ts'
import { sql } from '../../shared/sql.ts'
import type { Key, NewKey } from './tenant-types.ts'

type KeyRow = {
  readonly key_id: string
  readonly name: string
  readonly key_hash: Buffer
  readonly scopes: readonly Scope[]
  readonly agent_ids: readonly string[] | null
  readonly created_at: string
  readonly expires_at: string | null
  readonly retires_at: string | null
  readonly revoked_at: string | null
  readonly rotated_from: string | null
  readonly key_space: string
}

/** Both are RFC 3339 in UTC, so the earlier moment is the lesser text. */
const earlierOf = (one: string | null, other: string | null): string | null =>
  one === null || (other !== null && other < one) ? other : one

const toKey = (row: KeyRow): Key => ({
  keyId: row.key_id,
  name: row.name,
  scopes: row.scopes,
  agentIds: row.agent_ids,
  createdAt: row.created_at,
  expiresAt: earlierOf(row.expires_at, row.retires_at),
  ownExpiresAt: row.expires_at,
  revokedAt: row.revoked_at,
  rotatedFrom: row.rotated_from,
  keySpace: row.key_space,
})

export const insertKey = async (
  tx: TenantTransaction,
  { keyId, keyHash, key, predecessor }: { keyId: string; keyHash: Buffer; key: NewKey; predecessor: Key | null },
): Promise<Key> => {
  const rows = await tx.query<KeyRow>(sql`
    insert into api_key (tenant_id, key_id, name, key_hash, scopes, agent_ids, expires_at, rotated_from,
      key_space)
    values (${tx.tenantId}, ${keyId}, ${key.name}, ${keyHash}, ${key.scopes}::text[], ${key.agentIds}::text[],
      ${key.expiresAt}::timestamptz, ${predecessor?.keyId}, ${predecessor?.keySpace ?? keyId})
    returning *`)
  return toKey(rows[0] as KeyRow)
}

/** A live key of an active or suspended tenant, with the rate that the tenant's quota allows. */
export type LiveKey = {
  readonly key: Key
  readonly keyHash: Buffer
  readonly requestsPerSecond: number | null
  readonly isSuspended: boolean
}

export const findLiveKey = async (
  tx: TenantTransaction,
  { keyHash, now }: { keyHash: Buffer; now: string },
): Promise<LiveKey | null> => {
  const rows = await tx.query<KeyRow & { requests_per_second: number | null; is_suspended: boolean }>(sql`
    select api_key.*, tenant.requests_per_second, tenant.status = 'suspended' as is_suspended from api_key
    join tenant on tenant.tenant_id = api_key.tenant_id and tenant.status in ('active', 'suspended')
    where api_key.tenant_id = ${tx.tenantId} and key_hash = ${keyHash} and revoked_at is null
      and (expires_at is null or expires_at > ${now}::timestamptz)
      and (retires_at is null or retires_at > ${now}::timestamptz)`)
  const [row] = rows
  if (row === undefined) return null
  const { requests_per_second: requestsPerSecond, is_suspended: isSuspended } = row
  return { key: toKey(row), keyHash: row.key_hash, requestsPerSecond, isSuspended }
}

export const findKey = async (tx: TenantTransaction, keyId: string): Promise<Key | null> => {
  const rows = await tx.query<KeyRow>(sql`
    select * from api_key where tenant_id = ${tx.tenantId} and key_id = ${keyId} for update`)
  return rows[0] === undefined ? null : toKey(rows[0])
}

/** Keys that can make keys, held in one order, so that two that go at once see each other. */
export const lockManagers = async (tx: TenantTransaction): Promise<readonly Key[]> => {
  const rows = await tx.query<KeyRow>(sql`
    select * from api_key
    where tenant_id = ${tx.tenantId} and 'keys:manage' = any(scopes) and revoked_at is null
    order by key_id for update`)
  return rows.map(toKey)
}

/** `only`: bound to these agents and no others; null: all. */
export const listKeys = async (
  tx: TenantTransaction,
  { only, after, limit }: { only: readonly string[] | null; after: string; limit: number },
): Promise<readonly Key[]> => {
  const rows = await tx.query<KeyRow>(sql`
    select * from api_key where tenant_id = ${tx.tenantId} and key_id > ${after}
      and (${only}::text[] is null or agent_ids <@ ${only}::text[])
    order by key_id limit ${limit}`)
  return rows.map(toKey)
}

export const revokeKey = async (tx: TenantTransaction, keyId: string): Promise<Key | null> => {
  const rows = await tx.query<KeyRow>(sql`
    update api_key set revoked_at = coalesce(revoked_at, now())
    where tenant_id = ${tx.tenantId} and key_id = ${keyId} returning *`)
  return rows[0] === undefined ? null : toKey(rows[0])
}

/** A key that retires already never gets longer. */
export const retireKey = async (
  tx: TenantTransaction,
  { keyId, retiresAt }: { keyId: string; retiresAt: string },
): Promise<void> => {
  await tx.query(sql`
    update api_key set retires_at = least(retires_at, ${retiresAt}::timestamptz)
    where tenant_id = ${tx.tenantId} and key_id = ${keyId}`)
}
