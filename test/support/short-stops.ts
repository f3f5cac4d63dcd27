/**
 * Holds work to a bound of how long the event loop may stand: the one that is promised (A3) where nobody can interrupt the
 * work, and less where it is done in slices, so that a slower machine keeps the promise too. The bound grows with how slow
 * this machine is at the moment, and the best of several tries counts: what else runs here must not fail a test.
 */
import { expect } from 'vitest'
import { longestStop } from './event-loop-stop.ts'
import { machineFactor } from './machine-factor.ts'

const triesMax = 4

export const promisedStopMs = 100
/** Half of what is promised. */
export const slicedStopMs = 50

/** Passes with the first try that keeps the bound. `prepare` makes what a try needs, and is not measured. */
export const expectShortStops = async (
  work: () => unknown,
  {
    stopMsMax = promisedStopMs,
    prepare = async () => work,
  }: { stopMsMax?: number; prepare?: () => Promise<() => unknown> } = {},
): Promise<void> => {
  const excess: number[] = []
  for (let tries = 0; tries < triesMax; tries += 1) {
    const { stopMs } = await longestStop(await prepare())
    if (stopMs <= stopMsMax) return
    excess.push(stopMs / (stopMsMax * machineFactor()))
    if ((excess.at(-1) ?? 0) <= 1) return
  }
  expect(Math.min(...excess), 'the shortest stop, as a multiple of the bound').toBeLessThanOrEqual(1)
}
