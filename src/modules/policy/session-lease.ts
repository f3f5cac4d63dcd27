/**
 * Holds a session for one run. The lease is renewed while the run lives, so that a process that dies frees the session
 * within `leaseMs`, and ends with the run. A release that fails, since the database is away, is tried again until then.
 */
import type { Database } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import { keepTrying } from '../../shared/keep-trying.ts'
import { sessionClosed } from '../session/session.errors.ts'
import { findSession } from '../session/session.repository.ts'
import { ensureReachable } from '../session/session-access.ts'
import { sessionBusy } from './policy.errors.ts'
import { releaseSession, renewSession, takeSession } from './run.repository.ts'

const leaseMs = 30_000
const releaseAgainMs = 500

/** @throws AppError `session.not_found` (404), `session.closed`, `session.busy` (409) */
export const withSessionLease = async <T>(
  database: Database,
  { caller, sessionId, runId }: { readonly caller: Caller; readonly sessionId: string; readonly runId: string },
  work: () => Promise<T>,
): Promise<T> => {
  const { tenantId } = caller
  const lease = { sessionId, runId, leaseMs }
  await database.transact(tenantId, async (tx) => {
    // In this order: the row that was taken is what is looked at.
    const [isTaken, found] = await Promise.all([takeSession(tx, lease), findSession(tx, sessionId)])
    if (ensureReachable(caller, found).status === 'closed') throw sessionClosed()
    if (!isTaken) throw sessionBusy()
  })
  // A renewal that fails is tried again by the next; one that finds no lease changes nothing for this run's own writes.
  const renew = () => database.transact(tenantId, (tx) => renewSession(tx, lease)).catch(() => undefined)
  const release = () => database.transact(tenantId, (tx) => releaseSession(tx, lease))
  const renewal = setInterval(() => void renew(), leaseMs / 3)
  try {
    return await work()
  } finally {
    clearInterval(renewal)
    // Whoever waits for the run does not wait for a database that is away.
    await release().catch(() => void keepTrying(release, { everyMs: releaseAgainMs, forMs: leaseMs }))
  }
}
