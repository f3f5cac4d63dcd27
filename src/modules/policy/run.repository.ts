/** One run of a session at a time: a lease on the session's row, renewed while the run lives. */
import type { TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'

type Lease = { readonly sessionId: string; readonly runId: string }

/** False when another run holds the session. */
export const takeSession = async (
  tx: TenantTransaction,
  { sessionId, runId, leaseMs }: Lease & { readonly leaseMs: number },
): Promise<boolean> => {
  const rows = await tx.query(sql`
    update session set run_id = ${runId},
      run_until = clock_timestamp() + make_interval(secs => ${leaseMs / 1000}::double precision)
    where tenant_id = ${tx.tenantId} and session_id = ${sessionId}
      and (run_until is null or run_until < clock_timestamp() or run_id = ${runId})
    returning 1`)
  return rows.length === 1
}

export const releaseSession = async (tx: TenantTransaction, { sessionId, runId }: Lease): Promise<void> => {
  await tx.query(sql`
    update session set run_id = null, run_until = null
    where tenant_id = ${tx.tenantId} and session_id = ${sessionId} and run_id = ${runId}`)
}
