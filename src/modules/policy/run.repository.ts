/** One run of a session at a time: a lease on the session's row, renewed while the run lives. */
import type { TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'

type Lease = { readonly sessionId: string; readonly runId: string }
type TimedLease = Lease & { readonly leaseMs: number }

/** False when a run holds the session. */
export const takeSession = async (
  tx: TenantTransaction,
  { sessionId, runId, leaseMs }: TimedLease,
): Promise<boolean> => {
  const rows = await tx.query(sql`
    update session set run_id = ${runId},
      run_until = clock_timestamp() + make_interval(secs => ${leaseMs / 1000}::double precision)
    where tenant_id = ${tx.tenantId} and session_id = ${sessionId}
      and (run_until is null or run_until < clock_timestamp())
    returning 1`)
  return rows.length === 1
}

/** Nothing where the run holds the session no more: a renewal that comes late takes nothing back. */
export const renewSession = async (tx: TenantTransaction, { sessionId, runId, leaseMs }: TimedLease): Promise<void> => {
  await tx.query(sql`
    update session set run_until = clock_timestamp() + make_interval(secs => ${leaseMs / 1000}::double precision)
    where tenant_id = ${tx.tenantId} and session_id = ${sessionId} and run_id = ${runId}`)
}

export const releaseSession = async (tx: TenantTransaction, { sessionId, runId }: Lease): Promise<void> => {
  await tx.query(sql`
    update session set run_id = null, run_until = null
    where tenant_id = ${tx.tenantId} and session_id = ${sessionId} and run_id = ${runId}`)
}
