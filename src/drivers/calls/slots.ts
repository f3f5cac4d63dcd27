/** A fixed number of places; who finds none waits for its turn, first come, first served. */
export type Slots = {
  /** Runs `work` in a place. @throws the signal's reason when it aborts before there was one */
  use<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>
}

export const createSlots = (count: number): Slots => {
  let free = count
  const waiting = new Set<() => void>()

  const enter = (signal: AbortSignal | undefined): Promise<void> =>
    new Promise((resolve, reject) => {
      const take = (): void => {
        signal?.removeEventListener('abort', leave)
        resolve()
      }
      const leave = (): void => {
        waiting.delete(take)
        reject(signal?.reason)
      }
      if (free > 0) {
        free -= 1
        return resolve()
      }
      waiting.add(take)
      signal?.addEventListener('abort', leave, { once: true })
    })

  const exit = (): void => {
    const [next] = waiting
    if (next === undefined) {
      free += 1
      return
    }
    waiting.delete(next)
    next()
  }

  return {
    use: async (work, signal) => {
      signal?.throwIfAborted()
      await enter(signal)
      try {
        return await work()
      } finally {
        exit()
      }
    },
  }
}
