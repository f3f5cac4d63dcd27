import type { TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'

/** A client's Idempotency-Key in the space of its API key. */
export type KeyName = { readonly space: string; readonly key: string }

/** Body null: the answer showed a memory that was deleted since. */
export type StoredAnswer = { readonly requestHash: Buffer; readonly body: unknown }

export type NewAnswer = {
  readonly name: KeyName
  readonly requestHash: Buffer
  readonly agentId: string | null
  /** As JSON; null: the answer itself is not kept. */
  readonly text: string | null
  /** Memories whose text it holds; where one of them is gone by now, the answer is not kept. */
  readonly shown: readonly string[]
  /** All memories that it names: it goes with any of them. */
  readonly named: readonly string[]
  readonly ttlSeconds: number
}

export const findAnswer = async (tx: TenantTransaction, { space, key }: KeyName): Promise<StoredAnswer | null> => {
  const rows = await tx.query<{ request_hash: Buffer; body: unknown }>(sql`
    select request_hash, body from idempotency_key
    where tenant_id = ${tx.tenantId} and key_space = ${space} and idempotency_key = ${key} and expires_at > now()`)
  const row = rows[0]
  return row === undefined ? null : { requestHash: row.request_hash, body: row.body }
}

const removeExpired = (tx: TenantTransaction, { space, key }: KeyName) =>
  tx.query(sql`
    delete from idempotency_key
    where tenant_id = ${tx.tenantId} and key_space = ${space} and idempotency_key = ${key} and expires_at <= now()`)

/**
 * False when the key is taken: another request committed first. Waits for one that is committing right now, and before
 * that for who deletes a memory that the answer shows, so that no text is kept of what is gone.
 */
export const insertAnswer = async (tx: TenantTransaction, answer: NewAnswer): Promise<boolean> => {
  const { name, requestHash, agentId, text, shown, named, ttlSeconds } = answer
  const [, rows] = await Promise.all([
    removeExpired(tx, name),
    tx.query(sql`
      with shown as materialized (
        select 1 from memory where tenant_id = ${tx.tenantId} and agent_id = ${agentId}
          and memory_id = any(${shown}::text[]) for key share
      ), stored as (
        insert into idempotency_key (tenant_id, key_space, idempotency_key, request_hash, agent_id, body, expires_at)
        select ${tx.tenantId}, ${name.space}, ${name.key}, ${requestHash}, ${agentId},
          case when (select count(*) from shown) = ${shown.length}::bigint then ${text}::json end,
          now() + make_interval(secs => least(${ttlSeconds}::double precision,
            (select (retention ->> 'answers_hours')::double precision * 3600 from tenant
              where tenant_id = ${tx.tenantId})))
        on conflict (tenant_id, key_space, idempotency_key) do nothing
        returning 1
      ), linked as (
        insert into answer_memory (tenant_id, key_space, idempotency_key, memory_id)
        select ${tx.tenantId}, ${name.space}, ${name.key}, memory_id from unnest(${named}::text[]) as memory_id
        where exists (select from stored)
      )
      select 1 from stored`),
  ])
  return rows.length === 1
}

/** An answer that is gone stays so. */
export const replaceAnswer = async (tx: TenantTransaction, { space, key }: KeyName, body: unknown): Promise<void> => {
  await tx.query(sql`
    update idempotency_key set body = ${JSON.stringify(body)}::json
    where tenant_id = ${tx.tenantId} and key_space = ${space} and idempotency_key = ${key} and body is not null`)
}

/** Moves on what is stored of a request in parts, from the part it was at; false when it is elsewhere or gone. */
export const advanceAnswer = async (
  tx: TenantTransaction,
  { name, from, body, ttlSeconds }: { name: KeyName; from: number; body: unknown; ttlSeconds: number },
): Promise<boolean> => {
  const rows = await tx.query(sql`
    update idempotency_key set body = ${JSON.stringify(body)}::json,
      expires_at = now() + make_interval(secs => ${ttlSeconds}::double precision)
    where tenant_id = ${tx.tenantId} and key_space = ${name.space} and idempotency_key = ${name.key}
      and (body ->> 'part')::bigint = ${from}::bigint
    returning 1`)
  return rows.length === 1
}

/** Takes the text out of the agent's stored answers that show one of these memories; the keys stay taken. */
export const removeAnswersShowing = async (
  tx: TenantTransaction,
  { agentId, memoryIds }: { agentId: string; memoryIds: readonly string[] },
): Promise<void> => {
  await tx.query(sql`
    update idempotency_key as answer set body = null
    from answer_memory as link
    where link.tenant_id = ${tx.tenantId} and link.memory_id = any(${memoryIds}::text[])
      and answer.tenant_id = link.tenant_id and answer.key_space = link.key_space
      and answer.idempotency_key = link.idempotency_key and answer.agent_id = ${agentId}
      and answer.body is not null and answer.expires_at > now()`)
}

/** Names the life that the agent lives now; null: none. */
export const findLife = async (tx: TenantTransaction, agentId: string): Promise<string | null> => {
  const rows = await tx.query<{ space_id: string }>(sql`
    select space_id from agent where tenant_id = ${tx.tenantId} and agent_id = ${agentId}`)
  return rows[0]?.space_id ?? null
}

/** Keeps the agent from being erased until the end of the transaction; false when that life is over. */
export const holdLife = async (
  tx: TenantTransaction,
  { agentId, life }: { agentId: string; life: string },
): Promise<boolean> => {
  const rows = await tx.query(sql`
    select 1 from agent where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and space_id = ${life}
    for key share`)
  return rows.length === 1
}

/** Removes up to `limit` stored answers that are past their time, or older than `olderThanHours`; answers how many. */
export const purgeAnswers = async (
  tx: TenantTransaction,
  { limit, olderThanHours }: { limit: number; olderThanHours: number | null },
): Promise<number> => {
  const rows = await tx.query(sql`
    with over as materialized (
      select key_space, idempotency_key from idempotency_key
      where tenant_id = ${tx.tenantId} and (expires_at <= now()
        or created_at <= now() - make_interval(secs => ${olderThanHours}::double precision * 3600))
      limit ${limit} for update skip locked
    )
    delete from idempotency_key as answer using over
    where answer.tenant_id = ${tx.tenantId} and answer.key_space = over.key_space
      and answer.idempotency_key = over.idempotency_key
    returning 1`)
  return rows.length
}
