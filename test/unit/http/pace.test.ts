import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createPace } from '../../../src/http/pace.ts'

const options = { slowClientMs: 1_000, clientBytesPerSecondMin: 100 }

describe('the pace of a client', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  const clock = { nowMs: () => Date.now(), monotonicMs: () => Date.now() }

  /** Waits and says whether the client was found slow. */
  const wait = (pace: ReturnType<typeof createPace>, ms: number, bytes: number): boolean => {
    let isSlow = false
    const end = pace.wait(() => {
      isSlow = true
    })
    vi.advanceTimersByTime(ms)
    end(bytes)
    return isSlow
  }

  it('lets a client stand still for its time, and no longer', () => {
    expect(wait(createPace(options, { clock }), 999, 0)).toBe(false)
    expect(wait(createPace(options, { clock }), 1_000, 0)).toBe(true)
  })

  it('ends one that goes on below the rate, however often it sends', () => {
    const pace = createPace(options, { clock })
    const waits = Array.from({ length: 20 }, () => wait(pace, 200, 10))
    expect(waits.indexOf(true)).toBe(8)
  })

  it('never ends one that keeps the rate, and saves up no time for one that was fast', () => {
    const pace = createPace(options, { clock })
    for (let turn = 0; turn < 50; turn += 1) expect(wait(pace, 500, 50)).toBe(false)
    expect(wait(pace, 10, 1_000_000)).toBe(false)
    expect(wait(pace, 1_001, 0)).toBe(true)
  })

  it('counts no time in which the client is not waited for', () => {
    const pace = createPace(options, { clock })
    for (let turn = 0; turn < 5; turn += 1) {
      expect(wait(pace, 100, 0)).toBe(false)
      vi.advanceTimersByTime(60_000)
    }
  })

  it('gives what is on its way its time from the start', () => {
    expect(wait(createPace(options, { clock, bytes: 500 }), 5_999, 0)).toBe(false)
    expect(wait(createPace(options, { clock, bytes: 500 }), 6_000, 0)).toBe(true)
  })
})
