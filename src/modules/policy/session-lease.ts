/**
 * Holds a session for one run. The lease is renewed while the run lives, so that a process that dies frees the session
 * within `leaseMs`, and ends with the run.
 */
import type { Database } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import { sessionBusy } from './policy.errors.ts'
import { releaseSession, takeSession } from './run.repository.ts'

const leaseMs = 30_000

/** @throws AppError `session.busy` (409) */
export const withSessionLease = async <T>(
  database: Database,
  { caller, sessionId, runId }: { readonly caller: Caller; readonly sessionId: string; readonly runId: string },
  work: () => Promise<T>,
): Promise<T> => {
  const { tenantId } = caller
  const take = () => database.transact(tenantId, (tx) => takeSession(tx, { sessionId, runId, leaseMs }))
  if (!(await take())) throw sessionBusy()
  // A renewal that fails is tried again by the next; one that is refused changes nothing for this run's own writes.
  const renewal = setInterval(() => void take().catch(() => undefined), leaseMs / 3)
  try {
    return await work()
  } finally {
    clearInterval(renewal)
    await database.transact(tenantId, (tx) => releaseSession(tx, { sessionId, runId })).catch(() => undefined)
  }
}
