/**
 * Token buckets in this process: a name may take as many at once as its burst, refilled continuously at its rate. Its
 * own few lines, because the rate belongs to the tenant, which is known only after the key was checked, and because
 * failures are counted and successes not.
 */
import type { Clock } from '../shared/clock.ts'
import { rateLimited } from './http-errors.ts'

const bucketsMax = 50_000

type Rate = { readonly perSecond: number; readonly burst: number }

export const createRateLimit = ({ clock }: { clock: Clock }) => {
  const buckets = new Map<string, { readonly tokens: number; readonly atMs: number }>()

  const tokensOf = (name: string, { perSecond, burst }: Rate): number => {
    const bucket = buckets.get(name)
    if (bucket === undefined) return burst
    return Math.min(burst, bucket.tokens + (Math.max(0, clock.monotonicMs() - bucket.atMs) / 1000) * perSecond)
  }

  /** @throws AppError `quota.requests_per_second` (429) when the bucket is empty */
  const ensureLeft = (name: string, rate: Rate): number => {
    const tokens = tokensOf(name, rate)
    if (tokens < 1) throw rateLimited(Math.max(1, Math.ceil((1 - tokens) / rate.perSecond)))
    return tokens
  }

  return {
    ensureLeft,
    /** @throws AppError `quota.requests_per_second` (429) when the bucket is empty */
    take: (name: string, rate: Rate): void => {
      const tokens = ensureLeft(name, rate)
      if (buckets.size >= bucketsMax) buckets.clear()
      buckets.set(name, { tokens: tokens - 1, atMs: clock.monotonicMs() })
    },
  }
}

export type RateLimit = ReturnType<typeof createRateLimit>
