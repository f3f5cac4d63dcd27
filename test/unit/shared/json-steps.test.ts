import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isLargeJson, jsonSteps } from '../../../src/shared/json-steps.ts'
import { atOnce } from '../../../src/shared/yielding.ts'

const piecesOf = (value: object): readonly string[] => atOnce(jsonSteps(value))

const long = 'x'.repeat(20_000)
/** Short texts and such as need pieces, absent members, and names that JavaScript puts first or takes for more. */
const leaf = fc.oneof(
  fc.constantFrom(long, `"${long}`, undefined, null, true, 1.5, ''),
  fc.string({ unit: 'binary', maxLength: 20 }),
)
const name = fc.constantFrom('a', '7', '10', '__proto__', 'b"c', 'toString')
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 6 }),
    fc.array(fc.tuple(name, tie('value')), { maxLength: 6 }).map((members) => Object.fromEntries(members)),
  ),
}))

describe('a value as JSON in pieces', () => {
  it('is the text that JSON.stringify gives', () => {
    const container = value.filter((one): one is object => typeof one === 'object' && one !== null)
    fc.assert(
      fc.property(container, (one) => {
        expect(piecesOf(one).join('')).toBe(JSON.stringify(one))
      }),
    )
  })

  it('is in pieces that are short, however the value is built', () => {
    const rows = Array.from({ length: 2_000 }, (_, index) => ({ index, text: 'word '.repeat(20), numbers: [1, 2, 3] }))
    for (const one of [{ data: rows }, { data: [[{ rows }]] }, Array.from({ length: 200_000 }, (_, index) => index)]) {
      expect(isLargeJson(one)).toBe(true)
      expect(Math.max(...piecesOf(one).map(({ length }) => length))).toBeLessThan(100_000)
    }
    expect(isLargeJson({ data: rows.slice(0, 10) })).toBe(false)
  })
})
