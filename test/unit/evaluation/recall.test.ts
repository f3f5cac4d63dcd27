import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { latencyOf, percentileOf } from '../../../src/evaluation/percentiles.ts'
import { deviationOf, meanOf, recallAt } from '../../../src/evaluation/recall.ts'
import { halfSplits } from '../../../src/evaluation/splits.ts'

describe('recallAt', () => {
  it('is the fraction of gold ids among the first k', () => {
    expect(recallAt(['a', 'b', 'c', 'd'], ['x', 'a', 'b', 'y', 'c'], 3)).toBe(0.5)
    expect(recallAt(['a', 'b', 'c', 'd'], ['x', 'a', 'b', 'y', 'c'], 5)).toBe(0.75)
  })

  it('counts an id once, whether gold or ranking repeats it', () => {
    expect(recallAt(['a', 'a', 'b'], ['a', 'a', 'a'], 3)).toBe(0.5)
  })

  it('refuses a question without evidence, which would be a free hit or miss', () => {
    expect(() => recallAt([], ['a'], 1)).toThrow(RangeError)
  })

  it('lies in 0..1 and never falls as k grows', () => {
    const ids = fc.array(fc.constantFrom(...'abcdefgh'), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(ids, ids, fc.nat({ max: 12 }), (gold, ranked, k) => {
        const recall = recallAt(gold, ranked, k)
        expect(recall).toBeGreaterThanOrEqual(0)
        expect(recallAt(gold, ranked, k + 1)).toBeGreaterThanOrEqual(recall)
        expect(recallAt(gold, ranked, k + 1)).toBeLessThanOrEqual(1)
      }),
    )
  })
})

describe('mean and deviation', () => {
  it('are those of a sample', () => {
    expect(meanOf([2, 4, 9])).toBe(5)
    expect(deviationOf([2, 4, 4, 4, 5, 5, 7, 9])).toBeCloseTo(2.138, 3)
    expect(deviationOf([3])).toBe(0)
  })
})

describe('percentileOf', () => {
  it('is the nearest rank, always one of the values', () => {
    expect(percentileOf([15, 20, 35, 40, 50], 30)).toBe(20)
    expect(percentileOf([50, 15, 40, 20, 35], 40)).toBe(20)
    expect(percentileOf([7], 99)).toBe(7)
    expect(percentileOf([], 50)).toBeNaN()
  })

  it('leaves at least its share of the values at or below it', () => {
    const values = fc.array(fc.double({ noNaN: true, min: 0, max: 1e6 }), { minLength: 1, maxLength: 50 })
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 100 }), (times, percent) => {
        const value = percentileOf(times, percent)
        expect(times).toContain(value)
        expect(times.filter((time) => time <= value).length).toBeGreaterThanOrEqual(
          (percent / 100) * times.length - 1e-9,
        )
      }),
    )
  })

  it('orders a latency summary', () => {
    const times = Array.from({ length: 200 }, (_, index) => index + 1)
    expect(latencyOf(times)).toEqual({ p50: 100, p95: 190, p99: 198, max: 200 })
  })
})

describe('halfSplits', () => {
  it('cuts four names in the three possible ways', () => {
    expect(halfSplits(['a', 'b', 'c', 'd'])).toEqual([
      { left: ['a', 'b'], right: ['c', 'd'] },
      { left: ['a', 'c'], right: ['b', 'd'] },
      { left: ['a', 'd'], right: ['b', 'c'] },
    ])
  })

  it('counts the ways for 2, 3, 5 and 10 names, and has none for one or for too many', () => {
    const names = (count: number) => Array.from({ length: count }, (_, index) => `n${index}`)
    expect([2, 3, 5, 10, 1, 0, 13].map((count) => halfSplits(names(count)).length)).toEqual([1, 3, 10, 126, 0, 0, 0])
  })

  it('puts every name in exactly one half', () => {
    for (const { left, right } of halfSplits(['a', 'b', 'c', 'd', 'e'])) {
      expect([...left, ...right].sort()).toEqual(['a', 'b', 'c', 'd', 'e'])
      expect(Math.abs(left.length - right.length)).toBe(1)
    }
  })
})
