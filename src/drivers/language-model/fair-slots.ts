/** Places at the model, given out in the order of `fair-queue`; who waits may leave at any time by its signal. */
import { createFairQueue, type FairQueueBounds } from './fair-queue.ts'
import { inferenceUnavailable } from './inference-errors.ts'

const retryAfterSecondsMax = 60

export type FairSlots = {
  /**
   * Resolves with how to give the place back; giving it back twice is as giving it back once.
   * @throws AppError `inference.unavailable` when the queue is full; the signal's reason when it aborts before the turn
   */
  enter(tenantId: string, signal: AbortSignal): Promise<() => void>
}

type Waiter = { readonly tenantId: string; enter(): void; turnAway(): void }

export const createFairSlots = (bounds: FairQueueBounds): FairSlots => {
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

  /** A second for each round of calls that waits is a guess; answers take about that long or longer. */
  const queueIsFull = () => {
    const rounds = Math.ceil(queue.waiting() / bounds.runningMax)
    const retryAfterSeconds = Math.min(retryAfterSecondsMax, Math.max(1, rounds))
    return inferenceUnavailable('Too many calls wait for the language model. Try again later.', { retryAfterSeconds })
  }

  return {
    enter: async (tenantId, signal) => {
      signal.throwIfAborted()
      return new Promise((resolve, reject) => {
        const settle = (settled: () => void): void => {
          signal.removeEventListener('abort', leave)
          settled()
        }
        const waiter: Waiter = {
          tenantId,
          enter: () => settle(() => resolve(leaveOnce(tenantId))),
          turnAway: () => settle(() => reject(queueIsFull())),
        }
        const leave = (): void => {
          queue.remove(tenantId, waiter)
          reject(signal.reason)
        }
        signal.addEventListener('abort', leave, { once: true })
        const admission = queue.add(tenantId, waiter)
        if (admission.outcome === 'full') waiter.turnAway()
        else admission.displaced?.turnAway()
        letIn()
      })
    },
  }
}
