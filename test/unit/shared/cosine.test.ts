import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cosineOf, toCosine } from '../../../src/shared/cosine.ts'

const unit = (weights: readonly number[]): Float32Array => {
  const length = Math.hypot(...weights)
  return Float32Array.from(weights, (weight) => weight / length)
}
const weights = fc
  .array(fc.integer({ min: -1_000, max: 1_000 }), { minLength: 3, maxLength: 64 })
  .filter((values) => values.some((value) => value !== 0))

describe('a cosine', () => {
  it('of a vector with itself or its opposite is never beyond 1, whatever rounding adds, and close to it', () => {
    fc.assert(
      fc.property(weights, (values) => {
        const vector = unit(values)
        const [same, opposite] = [
          cosineOf(vector, vector),
          cosineOf(
            vector,
            vector.map((value) => -value),
          ),
        ]
        expect(same).toBeLessThanOrEqual(1)
        expect(opposite).toBeGreaterThanOrEqual(-1)
        expect([same, opposite]).toEqual([expect.closeTo(1, 5), expect.closeTo(-1, 5)])
      }),
    )
  })

  it('between the bounds is the product as it is', () => {
    expect([0.3, -0.3, 1, -1, 1.000000016, -1.0001].map(toCosine)).toEqual([0.3, -0.3, 1, -1, 1, -1])
  })
})
