/**
 * The slowest that a client may be while it is waited for: time that runs out as the client is waited for and is earned
 * back by bytes, up to `slowMs`. So a client may stand still for that long at any moment, and one that goes on below the
 * rate comes to its end; time in which the service itself is busy does not count.
 */
import type { Clock } from '../shared/clock.ts'

export type PaceOptions = { readonly slowClientMs: number; readonly clientBytesPerSecondMin: number }

export type Pace = {
  /** Begins to wait for the client; `onSlow` is called once when it has run out of time. Returns how to end the wait. */
  wait(onSlow: () => void): (bytes: number) => void
}

/** `bytes` that are on their way already have their time on top. */
export const createPace = (
  { slowClientMs, clientBytesPerSecondMin }: PaceOptions,
  { clock, bytes = 0 }: { readonly clock: Clock; readonly bytes?: number },
): Pace => {
  const earned = (count: number): number => (count / clientBytesPerSecondMin) * 1_000
  let leftMs = slowClientMs + earned(bytes)
  return {
    wait: (onSlow) => {
      const startedMs = clock.monotonicMs()
      const timer = setTimeout(onSlow, Math.max(0, leftMs))
      return (count) => {
        clearTimeout(timer)
        leftMs = Math.min(slowClientMs, leftMs - (clock.monotonicMs() - startedMs) + earned(count))
      }
    },
  }
}
