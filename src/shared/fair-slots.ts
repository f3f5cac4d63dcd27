/** Places given out to tenants in the order of `fair-queue`; who waits may leave at any time by its signal. */
import { createFairQueue, type FairQueueBounds } from './fair-queue.ts'

const retryAfterSecondsMax = 60

export type FairSlots = {
  /**
   * Resolves with how to give the place back; giving it back twice is as giving it back once.
   * @throws what `turnedAway` makes when the queue is full; the signal's reason when it aborts before the turn
   */
  enter(tenantId: string, signal?: AbortSignal): Promise<() => void>
  /** Runs `work` in a place. @throws as `enter`, and what `work` throws */
  use<T>(tenantId: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T>
}

export type FairSlotsOptions = FairQueueBounds & {
  /** The error of the caller's own module for who finds the queue full. */
  readonly turnedAway: (retryAfterSeconds: number) => Error
}

type Waiter = { readonly tenantId: string; enter(): void; turnAway(): void }

export const createFairSlots = ({ turnedAway, ...bounds }: FairSlotsOptions): FairSlots => {
  const queue = createFairQueue<Waiter>(bounds)

  const letIn = (): void => {
    for (let waiter = queue.next(); waiter !== undefined; waiter = queue.next()) waiter.enter()
  }

  const leaveOnce = (tenantId: string): (() => void) => {
    let isIn = true
    return () => {
      if (!isIn) return
      isIn = false
      queue.finish(tenantId)
      letIn()
    }
  }

  /** A second for each round of those that wait is a guess; a place is taken about that long or longer. */
  const queueIsFull = (): Error =>
    turnedAway(Math.min(retryAfterSecondsMax, Math.max(1, Math.ceil(queue.waiting() / bounds.runningMax))))

  const enter: FairSlots['enter'] = async (tenantId, signal) => {
    signal?.throwIfAborted()
    return new Promise((resolve, reject) => {
      const settle = (settled: () => void): void => {
        signal?.removeEventListener('abort', leave)
        settled()
      }
      const waiter: Waiter = {
        tenantId,
        enter: () => settle(() => resolve(leaveOnce(tenantId))),
        turnAway: () => settle(() => reject(queueIsFull())),
      }
      const leave = (): void => {
        queue.remove(tenantId, waiter)
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', leave, { once: true })
      const admission = queue.add(tenantId, waiter)
      if (admission.outcome === 'full') waiter.turnAway()
      else admission.displaced?.turnAway()
      letIn()
    })
  }

  return {
    enter,
    use: async (tenantId, work, signal) => {
      const leave = await enter(tenantId, signal)
      try {
        return await work()
      } finally {
        leave()
      }
    },
  }
}
