/**
 * Whose turn it is at the indexer of this process: tenants in the order of their ids, round and round, each with a share of
 * the loops at most. A tenant whose round failed by time has a share of one for a while.
 */
import { LRUCache } from 'lru-cache'

const slowTenantsMax = 10_000
const slowForMs = 60_000

export type TenantTurns = {
  /** Takes a turn by asking `lease` for one, one asking at a time, so that no share is overdrawn. Null: there is none. */
  take<T extends { readonly tenantId: string }>(
    lease: (turn: { readonly afterTenantId: string; readonly passedOver: readonly string[] }) => Promise<T | null>,
  ): Promise<T | null>
  end(tenantId: string): void
  noteSlow(tenantId: string): void
}

export const createTenantTurns = ({ shareMax }: { readonly shareMax: number }): TenantTurns => {
  const running = new Map<string, number>()
  const slow = new LRUCache<string, true>({ max: slowTenantsMax, ttl: slowForMs })
  let afterTenantId = ''
  let asking: Promise<unknown> = Promise.resolve()

  const passedOver = (): readonly string[] =>
    [...running].flatMap(([tenantId, count]) => (count >= (slow.has(tenantId) ? 1 : shareMax) ? [tenantId] : []))

  return {
    take: (lease) => {
      const taken = asking.then(async () => {
        const found = await lease({ afterTenantId, passedOver: passedOver() })
        if (found === null) return null
        afterTenantId = found.tenantId
        running.set(found.tenantId, (running.get(found.tenantId) ?? 0) + 1)
        return found
      })
      asking = taken.catch(() => undefined)
      return taken
    },
    end: (tenantId) => {
      const left = (running.get(tenantId) ?? 1) - 1
      if (left === 0) running.delete(tenantId)
      else running.set(tenantId, left)
    },
    noteSlow: (tenantId) => {
      slow.set(tenantId, true)
    },
  }
}
