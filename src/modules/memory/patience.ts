/**
 * How long a tenant's requests wait for what only makes an answer better: `waitMaxMs`; half of it after one that waited
 * in vain, down to an eighth; twice as long again after one that did not, or at once when none has waited in vain for a
 * while. So a service that is behind costs a few requests a long wait and not each of them.
 */
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../shared/clock.ts'

const halvingsMax = 3
const remembersMs = 30_000
const tenantsMax = 10_000

export type Patience = {
  waitMs(tenantId: string): number
  note(tenantId: string, outcome: 'in time' | 'in vain'): void
}

export const createPatience = ({ waitMaxMs, clock }: { waitMaxMs: number; clock: Clock }): Patience => {
  const known = new LRUCache<string, { readonly halvings: number; readonly notedMs: number }>({ max: tenantsMax })

  const halvingsOf = (tenantId: string): number => {
    const { halvings, notedMs } = known.get(tenantId) ?? { halvings: 0, notedMs: 0 }
    return clock.monotonicMs() - notedMs > remembersMs ? 0 : halvings
  }

  return {
    waitMs: (tenantId) => waitMaxMs / 2 ** halvingsOf(tenantId),
    note: (tenantId, outcome) => {
      const halvings = Math.min(halvingsMax, halvingsOf(tenantId) + (outcome === 'in vain' ? 1 : -1))
      if (halvings <= 0) known.delete(tenantId)
      else known.set(tenantId, { halvings, notedMs: clock.monotonicMs() })
    },
  }
}
