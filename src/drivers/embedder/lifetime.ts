/**
 * Ends what is under way when its owner closes. Not by `AbortSignal.any` with one signal of the owner: each such call
 * leaves a trace on that signal for as long as it lives.
 */
export type Lifetime = {
  /** Runs `work` with a signal that aborts with `signal` or at the end. @throws the reason when either has come already */
  run<T>(signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T>
  hasEnded(): boolean
  end(reason: Error): void
}

export const createLifetime = (): Lifetime => {
  const running = new Set<AbortController>()
  let endReason: Error | null = null
  return {
    run: async (signal, work) => {
      signal?.throwIfAborted()
      if (endReason !== null) throw endReason
      const controller = new AbortController()
      const abort = (): void => controller.abort(signal?.reason)
      signal?.addEventListener('abort', abort, { once: true })
      running.add(controller)
      try {
        return await work(controller.signal)
      } finally {
        running.delete(controller)
        signal?.removeEventListener('abort', abort)
      }
    },
    hasEnded: () => endReason !== null,
    end: (reason) => {
      endReason ??= reason
      for (const controller of running) controller.abort(reason)
    },
  }
}
