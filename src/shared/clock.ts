/** Time as a dependency: tests move it by hand. */
export type Clock = {
  /** Milliseconds since the epoch. */
  nowMs(): number
}

export const systemClock: Clock = { nowMs: () => Date.now() }
