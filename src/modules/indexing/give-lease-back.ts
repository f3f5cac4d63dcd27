import { setTimeout as delay } from 'node:timers/promises'
import type { Database } from '../../ports/database.ts'
import { type AgentLease, postponeLease } from './index-lease.repository.ts'

const betweenTriesMs = 250

/**
 * An agent that cannot be served now waits a little; at a stop it is free at once, for the next process. Where the
 * database is away this is tried until it answers or the lease has run out by itself: before that nobody can serve the
 * agent, and with the database away there is nothing else to do. Never throws.
 */
export const giveLeaseBack = async (
  database: Database,
  lease: AgentLease,
  { leaseMs, delayMs, stopped }: { leaseMs: number; delayMs: number; stopped: AbortSignal },
): Promise<void> => {
  const tryOnce = () =>
    database
      .transact(lease.tenantId, (tx) => postponeLease(tx, { lease, delayMs: stopped.aborted ? 0 : delayMs }))
      .then(() => true)
      .catch(() => false)
  const endMs = performance.now() + leaseMs
  while (!(await tryOnce()) && !stopped.aborted && performance.now() < endMs)
    await delay(betweenTriesMs, undefined, { signal: stopped }).catch(() => undefined)
}
