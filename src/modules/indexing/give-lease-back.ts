import type { Database } from '../../ports/database.ts'
import { keepTrying } from '../../shared/keep-trying.ts'
import { type AgentLease, postponeLease } from './index-lease.repository.ts'

const betweenTriesMs = 250

/**
 * An agent that cannot be served now waits a little; at a stop it is free at once, for the next process. Where the
 * database is away this is tried until it answers or the lease has run out by itself: before that nobody can serve the
 * agent, and with the database away there is nothing else to do. Never throws.
 */
export const giveLeaseBack = (
  database: Database,
  lease: AgentLease,
  { leaseMs, delayMs, stopped }: { leaseMs: number; delayMs: number; stopped: AbortSignal },
): Promise<void> => {
  const postpone = () =>
    database.transact(lease.tenantId, (tx) => postponeLease(tx, { lease, delayMs: stopped.aborted ? 0 : delayMs }))
  return keepTrying(postpone, { everyMs: betweenTriesMs, forMs: leaseMs, signal: stopped })
}
