import { beforeEach, describe, expect, it } from 'vitest'
import { rateLimited } from '../../../src/http/load-errors.ts'
import { createRateLimit, type RateLimit } from '../../../src/http/rate-limit.ts'
import { AppError } from '../../../src/shared/errors.ts'

const rate = { perSecond: 2, burst: 3 }

describe('a rate limit', () => {
  let nowMs = 1_000_000
  let limit: RateLimit

  beforeEach(() => {
    limit = createRateLimit({ clock: { monotonicMs: () => nowMs, nowMs: () => nowMs }, refusal: rateLimited })
  })

  const take = (name = 'a'): number => {
    try {
      limit.take(name, rate)
      return 0
    } catch (error) {
      if (error instanceof AppError && error.status === 429) return error.retryAfterSeconds ?? -1
      throw error
    }
  }

  it('lets a burst through and then as many as the rate', () => {
    expect([take(), take(), take(), take()]).toEqual([0, 0, 0, 1])
    nowMs += 500
    expect([take(), take()]).toEqual([0, 1])
    nowMs += 60_000
    expect([take(), take(), take(), take()]).toEqual([0, 0, 0, 1])
  })

  it('of one name does not touch another', () => {
    expect([take(), take(), take(), take()]).toEqual([0, 0, 0, 1])
    expect(take('b')).toBe(0)
  })

  it('of a name in use is reset by no number of other names', () => {
    expect([take(), take(), take()]).toEqual([0, 0, 0])
    for (let other = 0; other < 60_000; other += 1) {
      if (other % 10_000 === 0) expect(take()).toBe(1)
      take(`other ${other}`)
    }
    expect(take()).toBe(1)
  })

  it('is not lengthened by requests that were refused', () => {
    expect([take(), take(), take()]).toEqual([0, 0, 0])
    for (let refused = 0; refused < 10; refused += 1) expect(take()).toBe(1)
    nowMs += 500
    expect(take()).toBe(0)
  })

  it('says when to come back, in whole seconds', () => {
    const slow = { perSecond: 0.1, burst: 1 }
    limit.take('slow', slow)
    expect(() => limit.take('slow', slow)).toThrow(expect.objectContaining({ status: 429, retryAfterSeconds: 10 }))
  })
})
