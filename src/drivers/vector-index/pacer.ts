/** Slices long work, so that it gives the event loop back in between. */
export type Pacer = {
  /** Resolves at once, or when others have had their turn. @throws the signal's reason */
  pause(): Promise<void>
}

const sliceMs = 4

export const createPacer = (signal: AbortSignal | undefined): Pacer => {
  let startedMs = performance.now()
  return {
    pause: async () => {
      if (performance.now() - startedMs < sliceMs) return
      await new Promise((resolve) => setImmediate(resolve))
      signal?.throwIfAborted()
      startedMs = performance.now()
    },
  }
}
