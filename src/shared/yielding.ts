/**
 * Long work in slices, so that nobody waits for it longer than a slice. The work is a generator that yields wherever it
 * may be interrupted, so it stays pure and synchronous in itself; whoever runs it decides whether others get a turn.
 *
 * All slices of the process stand in one line, and one runs in each round of the event loop: between any two of them
 * sockets and timers have their turn, however many requests have long work to do.
 */
export type Steps<T> = Generator<void, T, void>

/** A step is to take about a millisecond at most; a slice is as many as fit this time. */
const sliceMs = 5

const line: (() => void)[] = []

const runNext = (): void => {
  line.shift()?.()
  if (line.length > 0) setImmediate(runNext)
}

/** Others have their turn: for between two pieces of work that nobody can cut. */
export const turn = (): Promise<void> =>
  new Promise((resolve) => {
    line.push(resolve)
    if (line.length === 1) setImmediate(runNext)
  })

/** Runs the work without a pause. */
export const atOnce = <T>(steps: Steps<T>): T => {
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}

/** Runs the work with pauses; work of a few milliseconds has none. @throws the signal's reason */
export const inSlices = async <T>(steps: Steps<T>, signal?: AbortSignal): Promise<T> => {
  for (;;) {
    const endMs = performance.now() + sliceMs
    do {
      const step = steps.next()
      if (step.done) return step.value
    } while (performance.now() < endMs)
    await turn()
    signal?.throwIfAborted()
  }
}

/** As `map`, a step for each item. */
export function* mapSteps<Item, Result>(
  items: Iterable<Item>,
  toResult: (item: Item, index: number) => Result,
): Steps<Result[]> {
  const results: Result[] = []
  for (const item of items) {
    results.push(toResult(item, results.length))
    yield
  }
  return results
}

/** For work that waits in between: `pause` lets others have their turn when a slice has passed. */
export const createPauses = (signal?: AbortSignal) => {
  let endMs = performance.now() + sliceMs
  return {
    pause: async (): Promise<void> => {
      if (performance.now() < endMs) return
      await turn()
      signal?.throwIfAborted()
      endMs = performance.now() + sliceMs
    },
  }
}
