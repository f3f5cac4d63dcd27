import { setTimeout as sleep } from 'node:timers/promises'

export type KeepTryingOptions = {
  readonly everyMs: number
  readonly forMs: number
  /** Ends the trying after the attempt that is under way, or after one more when it waits. */
  readonly signal?: AbortSignal | undefined
}

/** Tries at once, and again until it works, the time is over or the signal aborts. Never throws; keeps no process alive. */
export const keepTrying = async (
  attempt: () => Promise<unknown>,
  { everyMs, forMs, signal }: KeepTryingOptions,
): Promise<void> => {
  const endMs = performance.now() + forMs
  const works = () =>
    attempt().then(
      () => true,
      () => false,
    )
  while (!(await works()) && signal?.aborted !== true && performance.now() < endMs)
    await sleep(everyMs, undefined, { ref: false, ...(signal && { signal }) }).catch(() => undefined)
}
