/**
 * How much of an agent is taken at once. A round that failed makes the next ones of that agent a quarter as big, down to a
 * single memory; each that succeeds makes them twice as big again. So what cannot be done together is done in parts, and
 * what cannot be done at all is found among the rest. Remembered for a while, for the agents that failed last.
 */
import { LRUCache } from 'lru-cache'

const agentsMax = 10_000
const rememberedMs = 600_000

export type Pace = {
  /** A share of the whole, at most 1. */
  of(key: string): number
  slower(key: string): void
  faster(key: string): void
}

export const createPace = (): Pace => {
  const shares = new LRUCache<string, number>({ max: agentsMax, ttl: rememberedMs })
  return {
    of: (key) => shares.get(key) ?? 1,
    slower: (key) => {
      shares.set(key, (shares.get(key) ?? 1) / 4)
    },
    faster: (key) => {
      const share = shares.get(key)
      if (share === undefined) return
      if (share * 2 >= 1) shares.delete(key)
      else shares.set(key, share * 2)
    },
  }
}

/** A part of a bound, at least 1. */
export const shareOf = (bound: number, share: number): number => Math.max(1, Math.floor(bound * share))
