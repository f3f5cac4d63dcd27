/**
 * Ends what is under way when its owner closes. Not by `AbortSignal.any` with one signal of the owner: each such call
 * leaves a trace on that signal for as long as it lives.
 */
export type Stay = {
  /** Aborts with the caller's signal, at the owner's end, or by `abort`: its reason tells why. */
  readonly signal: AbortSignal
  abort(reason: Error): void
  leave(): void
}

export type Lifetime = {
  /** For work that is no single promise. @throws the reason when the signal has aborted already or the owner has ended */
  enter(signal: AbortSignal | undefined): Stay
  /** Runs `work` with a signal that aborts with `signal` or at the end. @throws the reason when either has come already */
  run<T>(signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T>
  hasEnded(): boolean
  end(reason: Error): void
}

export const createLifetime = (): Lifetime => {
  const running = new Set<AbortController>()
  let endReason: Error | null = null

  const enter = (signal: AbortSignal | undefined): Stay => {
    signal?.throwIfAborted()
    if (endReason !== null) throw endReason
    const controller = new AbortController()
    const abort = (): void => controller.abort(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    running.add(controller)
    return {
      signal: controller.signal,
      abort: (reason) => controller.abort(reason),
      leave: () => {
        running.delete(controller)
        signal?.removeEventListener('abort', abort)
      },
    }
  }

  return {
    enter,
    run: async (signal, work) => {
      const stay = enter(signal)
      try {
        return await work(stay.signal)
      } finally {
        stay.leave()
      }
    },
    hasEnded: () => endReason !== null,
    end: (reason) => {
      endReason ??= reason
      for (const controller of running) controller.abort(reason)
    },
  }
}
