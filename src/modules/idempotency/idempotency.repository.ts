import type { TenantTransaction } from '../../ports/database.ts'
import type { IdempotencyClaim } from '../../shared/caller.ts'
import { sql } from '../../shared/sql.ts'

export type StoredAnswer = { readonly requestHash: Buffer; readonly body: unknown }

export const findAnswer = async (tx: TenantTransaction, key: string): Promise<StoredAnswer | null> => {
  const rows = await tx.query<{ request_hash: Buffer; body: unknown }>(sql`
    select request_hash, body from idempotency_key
    where tenant_id = ${tx.tenantId} and idempotency_key = ${key} and expires_at > now()`)
  const row = rows[0]
  return row === undefined ? null : { requestHash: row.request_hash, body: row.body }
}

/** False when the key is taken: another request committed first. Waits for one that is committing right now. */
export const insertAnswer = async (
  tx: TenantTransaction,
  {
    claim,
    agentId,
    body,
    ttlSeconds,
  }: { claim: IdempotencyClaim; agentId: string | null; body: unknown; ttlSeconds: number },
): Promise<boolean> => {
  const rows = await tx.query(sql`
    insert into idempotency_key (tenant_id, idempotency_key, request_hash, agent_id, body, expires_at)
    values (${tx.tenantId}, ${claim.key}, ${claim.requestHash}, ${agentId}, ${JSON.stringify(body)}::json,
      now() + make_interval(secs => ${ttlSeconds}))
    on conflict (tenant_id, idempotency_key) do update
      set request_hash = excluded.request_hash, agent_id = excluded.agent_id, body = excluded.body,
        expires_at = excluded.expires_at, created_at = now()
      where idempotency_key.expires_at <= now()
    returning 1`)
  return rows.length === 1
}

export const replaceAnswer = async (tx: TenantTransaction, key: string, body: unknown): Promise<void> => {
  await tx.query(sql`
    update idempotency_key set body = ${JSON.stringify(body)}::json
    where tenant_id = ${tx.tenantId} and idempotency_key = ${key}`)
}
