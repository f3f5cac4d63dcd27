/**
 * Token buckets in this process: a name may take as many at once as its burst, refilled continuously at its rate. Its
 * own few lines, because the rate belongs to the tenant, which is known only after the key was checked, and because
 * failures are counted and successes not. What has names of different kinds has a limit for each, so that names which
 * anybody can make up push out none that are earned.
 */
import { LRUCache } from 'lru-cache'
import type { Clock } from '../shared/clock.ts'
import type { AppError } from '../shared/errors.ts'

const bucketsMax = 50_000

type Rate = { readonly perSecond: number; readonly burst: number }

type RateLimitOptions = {
  readonly clock: Clock
  /** What is thrown at who has taken too many. */
  readonly refusal: (retryAfterSeconds: number) => AppError
}

export const createRateLimit = ({ clock, refusal }: RateLimitOptions) => {
  /** The buckets that were taken from longest ago give way. */
  const buckets = new LRUCache<string, { readonly tokens: number; readonly atMs: number }>({ max: bucketsMax })

  const tokensOf = (name: string, { perSecond, burst }: Rate): number => {
    const bucket = buckets.get(name)
    if (bucket === undefined) return burst
    return Math.min(burst, bucket.tokens + (Math.max(0, clock.monotonicMs() - bucket.atMs) / 1000) * perSecond)
  }

  return {
    /** @throws the refusal when the bucket is empty */
    take: (name: string, rate: Rate): void => {
      const tokens = tokensOf(name, rate)
      if (tokens < 1) throw refusal(Math.max(1, Math.ceil((1 - tokens) / rate.perSecond)))
      buckets.set(name, { tokens: tokens - 1, atMs: clock.monotonicMs() })
    },
  }
}

export type RateLimit = ReturnType<typeof createRateLimit>
