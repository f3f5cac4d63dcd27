/**
 * How long the event loop stood still while something ran. A chain of immediates looks at the time, so what is measured is
 * what another request would have waited: the longest time between two looks.
 */
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
  let lookedMs = performance.now()
  const look = (): void => {
    const nowMs = performance.now()
    stopMs = Math.max(stopMs, nowMs - lookedMs)
    lookedMs = nowMs
    if (!isDone) setImmediate(look)
  }
  await new Promise((resolve) => setImmediate(resolve))
  lookedMs = performance.now()
  const startedMs = lookedMs
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
