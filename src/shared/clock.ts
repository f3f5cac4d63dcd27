/** Time as a dependency: tests move it by hand. */
export type Clock = {
  /** Milliseconds since the epoch, for moments that are stored or told. An operator may set it back. */
  nowMs(): number
  /** Milliseconds from an arbitrary start, which never go back: for durations, such as how long something is believed. */
  monotonicMs(): number
}

export const systemClock: Clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() }
