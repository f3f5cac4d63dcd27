/** Waiting, always with an end. */
import { setTimeout as sleep } from 'node:timers/promises'

export { sleep }

/** Asks until it holds. @returns false when it did not in time */
export const waitUntil = async (
  holds: () => Promise<boolean> | boolean,
  { withinMs, everyMs = 100 }: { withinMs: number; everyMs?: number },
): Promise<boolean> => {
  for (const giveUpMs = performance.now() + withinMs; performance.now() < giveUpMs; await sleep(everyMs))
    if (await holds()) return true
  return await holds()
}

/** Runs so many workers until the time is over or the run is broken off; each step of each is waited for. */
export const forSeconds = async (
  { seconds, workers, signal }: { seconds: number; workers: number; signal: AbortSignal },
  step: (worker: number, round: number) => Promise<unknown>,
): Promise<void> => {
  const endMs = performance.now() + seconds * 1_000
  const work = async (worker: number) => {
    for (let round = 0; performance.now() < endMs && !signal.aborted; round += 1) await step(worker, round)
  }
  await Promise.all(Array.from({ length: workers }, (_, worker) => work(worker)))
}
