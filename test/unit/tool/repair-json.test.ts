import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { looseDepthMax, readLooseJson } from '../../../src/modules/tool/repair-json.ts'

const value = (text: string) => {
  const read = readLooseJson(text)
  return read.ok ? read.value : read.reason
}

describe('readLooseJson', () => {
  it('reads every JSON value as JSON.parse does, without mending it, and tells where it ends', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary', maxDepth: 6 }), fc.constantFrom(0, 2), (json, indent) => {
        const text = JSON.stringify(json, null, indent)
        const read = readLooseJson(`${text} tail`)
        expect(read).toMatchObject({ ok: true, end: text.length, isMended: false })
        expect(JSON.stringify(read.ok && read.value)).toBe(JSON.stringify(json))
      }),
    )
  })

  it.each([
    ["{'a': 'x\"y'}", { a: 'x"y' }],
    ['{"a": True, "b": False, "c": None}', { a: true, b: false, c: null }],
    ['{"a": [1, 2,], }', { a: [1, 2] }],
    ['{"a": "two\nlines"}', { a: 'two\nlines' }],
    ['{"a": "it\\\'s \\_"}', { a: "it's _" }],
  ])('mends %s', (text, expected) => {
    expect(readLooseJson(text)).toEqual({ ok: true, value: expected, end: text.length, isMended: true })
  })

  it.each(['', '{', '[1', '{"a": }', '{"a" 1}', '{a: 1}', '[1 2]', '[,]', '{"a": 1]', 'nil', '[1e999]', '[-]', '\\'])(
    'refuses %j rather than guess',
    (text) => {
      expect(value(text)).toBe('syntax')
    },
  )

  it('tells a string that is still open from other faults', () => {
    expect(value('["abc')).toBe('open_string')
    expect(value('["abc\\')).toBe('open_string')
  })

  it('keeps __proto__ as a member, so that it can be seen and refused', () => {
    expect(Object.keys(value('{"__proto__": {"a": 1}}') as object)).toEqual(['__proto__'])
  })

  it('bounds the nesting', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    expect(readLooseJson(nested(looseDepthMax)).ok).toBe(true)
    expect(value(nested(looseDepthMax + 1))).toBe('syntax')
    expect(value('['.repeat(1_000_000))).toBe('syntax')
  })
})
