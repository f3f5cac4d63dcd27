/**
 * A token bucket for each tenant, in this process: as many requests as its rate at once, refilled continuously. Its own
 * few lines, because the rate belongs to the tenant, which is known only after the key was checked.
 */
import type { Clock } from '../shared/clock.ts'
import { rateLimited } from './http-errors.ts'

const bucketsMax = 50_000

export const createRateLimit = ({ clock }: { clock: Clock }) => {
  const buckets = new Map<string, { tokens: number; atMs: number }>()
  return {
    /** @throws AppError `quota.requests_per_second` (429) when the bucket is empty */
    take: (name: string, ratePerSecond: number): void => {
      const nowMs = clock.nowMs()
      if (buckets.size >= bucketsMax) buckets.clear()
      const bucket = buckets.get(name) ?? { tokens: ratePerSecond, atMs: nowMs }
      const refilled = bucket.tokens + ((nowMs - bucket.atMs) / 1000) * ratePerSecond
      const tokens = Math.min(ratePerSecond, refilled)
      buckets.set(name, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: nowMs })
      if (tokens < 1) throw rateLimited(Math.max(1, Math.ceil((1 - tokens) / ratePerSecond)))
    },
  }
}

export type RateLimit = ReturnType<typeof createRateLimit>
