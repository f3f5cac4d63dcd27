/**
 * The look for a near duplicate before an addition. It is advice, so it never costs an addition much: one at a time for each
 * tenant, the next ones go without; tenants share the places in turns; none takes long; and after one that came to no end
 * the tenant's are left out for a moment, and the next takes less long. That it was left out is said.
 */
import { LRUCache } from 'lru-cache'
import type { Caller } from '../../shared/caller.ts'
import type { Clock } from '../../shared/clock.ts'
import { createFairSlots } from '../../shared/fair-slots.ts'
import { type FindSimilar, noneSimilar } from './find-similar.ts'
import type { DuplicateCheck, Similar } from './memory-types.ts'
import { createPatience } from './patience.ts'

/** Places of all tenants; whoever waits leaves at its deadline. */
const checksMax = 16
const waitingMax = 256
const checkMaxMs = 1_000
/** After a check that missed its deadline, of its tenant. */
const pauseMs = 5_000
const pausedTenantsMax = 10_000

export type CheckedDuplicate = { readonly similar: Similar; readonly check: DuplicateCheck }

export type DuplicateCheckOptions = {
  readonly findSimilar: FindSimilar
  readonly clock: Clock
  /** Cosine from which another memory is a duplicate, where the agent sets none. */
  readonly threshold: () => number
}

const skipped: CheckedDuplicate = { similar: noneSimilar, check: 'skipped' }

export const createDuplicateCheck = ({ findSimilar, clock, threshold }: DuplicateCheckOptions) => {
  const slots = createFairSlots({
    ...{ runningMax: checksMax, runningPerTenantMax: 1, waitingMax },
    turnedAway: () => new Error('too many checks wait'),
  })
  const patience = createPatience({ waitMaxMs: checkMaxMs, clock })
  const underWay = new Set<string>()
  const pausedUntilMs = new LRUCache<string, number>({ max: pausedTenantsMax })

  return async (caller: Caller, request: { agentId: string; content: string }): Promise<CheckedDuplicate> => {
    const { tenantId } = caller
    const isPaused = (pausedUntilMs.get(tenantId) ?? Number.NEGATIVE_INFINITY) > clock.monotonicMs()
    if (isPaused || underWay.has(tenantId)) return skipped
    underWay.add(tenantId)
    const deadline = AbortSignal.timeout(patience.waitMs(tenantId))
    const signal = AbortSignal.any([caller.signal, deadline])
    try {
      const look = () => findSimilar(caller, { ...request, defaultThreshold: threshold(), signal })
      const similar = await slots.use(tenantId, look, signal)
      patience.note(tenantId, 'in time')
      return { similar, check: 'near' }
    } catch (error) {
      if (caller.signal.aborted) throw error
      if (deadline.aborted) {
        pausedUntilMs.set(tenantId, clock.monotonicMs() + pauseMs)
        patience.note(tenantId, 'in vain')
      }
      return skipped
    } finally {
      underWay.delete(tenantId)
    }
  }
}
