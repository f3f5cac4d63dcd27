/**
 * Who may use a connection next. A tenant holds at most its share of the pool, so that whoever waits in the database,
 * as for the lock of one row, leaves connections to the others; beyond its share its work waits here, tenants take
 * turns, and nobody waits without end.
 */
import { createFairSlots } from '../../shared/fair-slots.ts'
import { databaseBusy } from './database-errors.ts'

/** The rest is always there for other tenants. A pool of one has nothing to leave. */
const othersShare = 0.25
/** Work that may wait, of all tenants together; who finds it full takes the place of the longest line's youngest. */
const waitingPerConnectionMax = 100

export type TenantPlaces = {
  /** Resolves with how to give the place back. @throws database.busy after the wait, the signal's reason when it aborts */
  enter(tenantId: string, signal: AbortSignal | undefined): Promise<() => void>
  waiting(): number
}

export const tenantShareOf = (connections: number): number =>
  Math.max(1, connections - Math.max(1, Math.ceil(connections * othersShare)))

export const createTenantPlaces = ({
  connections,
  waitMs,
}: {
  readonly connections: number
  readonly waitMs: number
}): TenantPlaces => {
  const slots = createFairSlots({
    runningMax: connections,
    runningPerTenantMax: tenantShareOf(connections),
    waitingMax: connections * waitingPerConnectionMax,
    turnedAway: databaseBusy,
  })
  let waiting = 0
  return {
    enter: async (tenantId, signal) => {
      signal?.throwIfAborted()
      const ended = new AbortController()
      const leave = () => ended.abort(signal?.reason)
      const timer = setTimeout(() => ended.abort(databaseBusy(1)), waitMs)
      signal?.addEventListener('abort', leave, { once: true })
      waiting += 1
      try {
        return await slots.enter(tenantId, ended.signal)
      } finally {
        waiting -= 1
        clearTimeout(timer)
        signal?.removeEventListener('abort', leave)
      }
    },
    waiting: () => waiting,
  }
}
