/**
 * How long the event loop stood still while something ran. A chain of immediates looks at the time, so what is measured is
 * what another request would have waited: the longest time between two looks. Where the system counts it, only what the
 * loop's own thread computed meanwhile: on a busy machine a thread stands as well while it waits for its turn.
 */
import { readFileSync } from 'node:fs'

/** What this thread has computed so far, in ms; where the system does not count it, the time that has passed. */
export const computedMs = (): number => {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6
  } catch {
    return performance.now()
  }
}

export type Stop = {
  /** The longest time that nobody else had a turn. */
  readonly stopMs: number
  /** From beginning to end. */
  readonly tookMs: number
}

/** Runs `work`, which may be synchronous. What it throws is thrown. */
export const longestStop = async (work: () => unknown): Promise<Stop> => {
  let isDone = false
  let stopMs = 0
  let lookedMs = computedMs()
  const look = (): void => {
    const atMs = computedMs()
    stopMs = Math.max(stopMs, atMs - lookedMs)
    lookedMs = atMs
    if (!isDone) setImmediate(look)
  }
  await new Promise((resolve) => setImmediate(resolve))
  lookedMs = computedMs()
  const startedMs = performance.now()
  setImmediate(look)
  try {
    await work()
  } finally {
    isDone = true
  }
  // Once more, for what ran after the last look.
  await new Promise((resolve) => setImmediate(resolve))
  return { stopMs, tookMs: performance.now() - startedMs }
}
