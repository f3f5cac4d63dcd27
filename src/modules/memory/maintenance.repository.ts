/** What maintenance looks for across tenants, through definer functions that can read ids and moments, never content. */
import type { SystemTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'

export type ExpiredMemory = { readonly tenant_id: string; readonly agent_id: string; readonly memory_id: string }

export const findExpired = (tx: SystemTransaction, limit: number) =>
  tx.query<ExpiredMemory>(sql`select * from find_expired(${limit})`)

export const findPendingErasures = (tx: SystemTransaction, limit: number) =>
  tx.query<{ tenant_id: string; erasure_id: string }>(sql`select * from find_pending_erasures(${limit})`)

/** Tenants with stored answers past their time. */
export const findExpiredAnswers = async (tx: SystemTransaction, limit: number): Promise<readonly string[]> =>
  (await tx.query<{ tenant_id: string }>(sql`select * from find_expired_answers(${limit})`)).map((row) => row.tenant_id)
