import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  byteLengthOfJson,
  canonicalJson,
  depthOf,
  findUnsafeText,
  isUnsafeText,
  toSafeText,
} from '../../../src/shared/json-limits.ts'

const nested = (depth: number): unknown => JSON.parse('['.repeat(depth) + ']'.repeat(depth))

describe('findUnsafeText', () => {
  it('lets ordinary JSON pass, whole surrogate pairs and a plain "constructor" too', () => {
    expect(findUnsafeText({ a: ['\u{1f600}', 1, null, true], constructor: 'Gehry' })).toBeNull()
    expect(findUnsafeText('text')).toBeNull()
    expect(findUnsafeText(undefined)).toBeNull()
  })

  it.each([
    ['NUL in a string', { a: [{ 'b/c~d': 'x\u0000' }] }, '/a/0/b~1c~0d'],
    ['half of a surrogate pair', { a: 'x\ud83d' }, '/a'],
    ['a number that is no longer one', JSON.parse('{"a": [1, 1e400]}'), '/a/1'],
    ['a string at the root', '\udc00', ''],
    ['NUL in a key, pointed at by its object', { a: { 'b\u0000': 1 } }, '/a'],
    ['__proto__ as an own key', JSON.parse('{"a": {"__proto__": {"admin": true}}}'), '/a'],
    ['constructor.prototype', { a: { constructor: { prototype: {} } } }, '/a'],
    ['the first of two in document order', { a: { deep: { deeper: '\u0000' } }, b: '\u0000' }, '/a/deep/deeper'],
    ['a fault after a nested value', [[1, [2]], '\u0000'], '/1'],
  ])('points at %s', (_name, value, pointer) => {
    expect(findUnsafeText(value)?.pointer).toBe(pointer)
  })

  it('refuses nesting deeper than its limit, and points at the container that goes too far', () => {
    expect(findUnsafeText(nested(32))).toBeNull()
    expect(findUnsafeText(nested(33))?.pointer).toBe('/0'.repeat(32))
    expect(findUnsafeText({ a: { b: [] } }, 2)).toEqual({
      pointer: '/a/b',
      detail: 'must not be nested deeper than 2 levels',
    })
  })

  it('does not overflow the stack on a million levels', () => {
    expect(findUnsafeText(nested(1_000_000))?.detail).toContain('nested deeper')
    expect(findUnsafeText(nested(1_000_000), Number.POSITIVE_INFINITY)).toBeNull()
    expect(depthOf(nested(1_000_000))).toBe(1_000_000)
  })

  it('finds something exactly when the JSON text holds NUL or half a pair, for any JSON of bounded depth', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ stringUnit: 'binary', maxDepth: 4 }),
        fc.constantFrom('', '\u0000', '\ud800'),
        (json, fault) => {
          const value = { value: json, last: `x${fault}` }
          const isFaulty = JSON.stringify(value).includes('\\u0000') || /\\ud[89a-f]/.test(JSON.stringify(value))
          fc.pre(!JSON.stringify(value).includes('__proto__') && !JSON.stringify(value).includes('\\\\u'))
          expect(findUnsafeText(value) !== null).toBe(isFaulty)
        },
      ),
    )
  })
})

describe('toSafeText', () => {
  it('replaces NUL and half pairs one for one, and leaves other text as it is', () => {
    expect(toSafeText('a\u0000b\ud83dc\ude00')).toBe('a\ufffdb\ufffdc\ufffd')
    expect(toSafeText('\u{1f600}')).toBe('\u{1f600}')
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !isUnsafeText(toSafeText(`${text}\ud800`))))
  })
})

describe('depthOf', () => {
  it.each([
    [1, 0],
    [null, 0],
    [{}, 1],
    [{ a: 1 }, 1],
    [{ a: [] }, 2],
    [[[], [{ b: { c: 1 } }]], 4],
  ])('of %j is %i', (value, depth) => {
    expect(depthOf(value)).toBe(depth)
  })
})

describe('byteLengthOfJson', () => {
  it('counts bytes of UTF-8, not characters', () => {
    expect(byteLengthOfJson({ a: 'é' })).toBe(10)
    expect(byteLengthOfJson(undefined)).toBe(0)
  })
})

const shuffled = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(shuffled)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, shuffled(member)]),
  )
}

describe('canonicalJson', () => {
  it('sorts keys at every level and keeps the order of arrays', () => {
    expect(canonicalJson({ b: [2, { d: 1, c: 'x' }], a: null, gone: undefined })).toBe(
      '{"a":null,"b":[2,{"c":"x","d":1}]}',
    )
  })

  it('does not depend on the order of keys, and parses to the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
        expect(canonicalJson(shuffled(value))).toBe(canonicalJson(value))
        expect(canonicalJson(JSON.parse(canonicalJson(value)))).toBe(canonicalJson(value))
      }),
    )
  })

  it('tells apart what JSON tells apart', () => {
    const texts = [1, '1', true, 'true', null, 'null', [], {}, [1], ['1'], { a: [] }, { a: {} }].map(canonicalJson)
    expect(new Set(texts).size).toBe(texts.length)
  })
})
