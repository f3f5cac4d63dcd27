/**
 * The events of a run, kept while it lives and for a while after, so that a client whose connection broke can go on where
 * it left. A run waits for its slowest reader once that is `aheadMax` events behind. When its last reader has left and
 * none comes back within `graceMs`, the run is cancelled.
 */
import type { RunEvent } from './run-types.ts'

export type NumberedEvent = { readonly number: number; readonly event: RunEvent }

export type RunFeedOptions = { readonly graceMs: number; readonly aheadMax: number }

export type ReadOptions = { readonly idleMs: number; readonly signal: AbortSignal }

export type RunFeed = ReturnType<typeof createRunFeed>

export const createRunFeed = ({ graceMs, aheadMax }: RunFeedOptions) => {
  const events: NumberedEvent[] = []
  const readers = new Set<{ position: number }>()
  const waiting = new Set<() => void>()
  const abandoned = new AbortController()
  let isEnded = false
  let grace: NodeJS.Timeout | undefined

  const tellAll = (): void => {
    for (const wake of [...waiting]) wake()
  }

  /** Until something has changed; false when `timeoutMs` pass without that. */
  const changed = (timeoutMs?: number): Promise<boolean> =>
    new Promise((resolve) => {
      const end = (isChanged: boolean) => () => {
        clearTimeout(timer)
        waiting.delete(wake)
        resolve(isChanged)
      }
      const wake = end(true)
      const timer = timeoutMs === undefined ? undefined : setTimeout(end(false), timeoutMs)
      waiting.add(wake)
    })

  abandoned.signal.addEventListener('abort', tellAll, { once: true })

  const isTooFarAhead = (): boolean => {
    const slowest = Math.min(...[...readers].map(({ position }) => position))
    return readers.size > 0 && events.length - slowest > aheadMax
  }

  const join = (after: number): { position: number } => {
    clearTimeout(grace)
    const reader = { position: Math.min(after, events.length) }
    readers.add(reader)
    return reader
  }

  /** Nobody reads: the run is given up unless somebody does within the grace. */
  const expectReader = (): void => {
    clearTimeout(grace)
    if (readers.size === 0 && !isEnded) grace = setTimeout(() => abandoned.abort(), graceMs)
  }

  const leave = (reader: { position: number }): void => {
    readers.delete(reader)
    expectReader()
    tellAll()
  }

  /**
   * Events after a number, those that are there and those to come; null whenever `idleMs` pass without one. Ends with the
   * run, or when the reader's signal aborts: an iteration that waits could not be ended otherwise.
   */
  async function* read(after: number, { idleMs, signal }: ReadOptions): AsyncGenerator<NumberedEvent | null> {
    const reader = join(after)
    signal.addEventListener('abort', tellAll, { once: true })
    try {
      while (!signal.aborted) {
        const next = events[reader.position]
        if (next !== undefined) {
          yield next
          reader.position += 1
          tellAll()
        } else if (isEnded) return
        else if (!(await changed(idleMs))) yield null
      }
    } finally {
      signal.removeEventListener('abort', tellAll)
      leave(reader)
    }
  }

  return {
    hasBegun: (): boolean => events.length > 0,

    /** Resolves with the first event. */
    begun: (async () => {
      while (events.length === 0 && !isEnded) await changed()
    })(),

    /** Aborts when nobody has read for too long, and when the run is cancelled. */
    signal: abandoned.signal,

    /** Resolves when the slowest reader has room for more. */
    emit: async (event: RunEvent): Promise<void> => {
      events.push({ number: events.length + 1, event })
      tellAll()
      while (isTooFarAhead() && !abandoned.signal.aborted) await changed()
    },

    /** No event comes any more. */
    end: (): void => {
      isEnded = true
      clearTimeout(grace)
      tellAll()
    },

    cancel: (): void => abandoned.abort(),
    expectReader,
    read,
  }
}
