import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { looseDepthMax, readLooseJson } from '../../../src/modules/tool/repair-json.ts'
import { indexOfInexactNumber } from '../../../src/shared/exact-numbers.ts'

const value = (text: string) => {
  const read = readLooseJson(text)
  return read.ok ? read.value : read.reason
}

describe('readLooseJson', () => {
  it('reads every JSON value as JSON.parse does, without mending it, and tells where it ends', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary', maxDepth: 6 }), fc.constantFrom(0, 2), (json, indent) => {
        const text = JSON.stringify(json, null, indent)
        // Whole numbers beyond 2^53 are taken as text.
        fc.pre(indexOfInexactNumber(text) === -1)
        const read = readLooseJson(`${text} tail`)
        expect(read).toEqual({ ok: true, value: read.ok && read.value, end: text.length, notes: new Set() })
        expect(JSON.stringify(read.ok && read.value)).toBe(JSON.stringify(json))
      }),
    )
  })

  it.each([
    ["{'a': 'x\"y'}", { a: 'x"y' }],
    ['{"a": True, "b": False, "c": None}', { a: true, b: false, c: null }],
    ['{"a": [1, 2,], }', { a: [1, 2] }],
    ['{"a": "two\nlines"}', { a: 'two\nlines' }],
    ['{"a": "it\\\'s"}', { a: "it's" }],
  ])('mends %s', (text, expected) => {
    expect(readLooseJson(text)).toEqual({ ok: true, value: expected, end: text.length, notes: new Set(['loose_json']) })
  })

  const read = (text: string) => {
    const result = readLooseJson(text)
    return result.ok ? [result.value, ...result.notes] : result.reason
  }

  it.each([
    [String.raw`"C:\Users\me\notes"`, String.raw`C:\Users\me\notes`],
    [String.raw`"regex \d+\s*\w"`, String.raw`regex \d+\s*\w`],
    [String.raw`"in C:\Users\new\table.txt, or not"`, String.raw`in C:\Users\new\table.txt, or not`],
    [String.raw`"c:\users"`, String.raw`c:\users`],
    [String.raw`"\alpha+\frac{1}{2}"`, String.raw`\alpha+\frac{1}{2}`],
    [String.raw`"\\server\share"`, String.raw`\server\share`],
    [String.raw`"100\%  \$5"`, String.raw`100\%  \$5`],
    [String.raw`"a\ b"`, String.raw`a\ b`],
    [String.raw`"\u12 \ud\x41"`, String.raw`\u12 \ud\x41`],
    ['"one\\ntwo \\d+"', 'one\ntwo \\d+'],
    ['"\\q said \\"hi\\" \\u00e9\\/"', '\\q said "hi" é/'],
    ["'it\\'s \\d'", "it's \\d"],
  ])('keeps a backslash that begins no escape: %s', (text, expected) => {
    expect(read(text)).toContain('bare_backslash')
    expect(read(text)).toContain(expected)
  })

  it.each([
    ['"a\\n    b"', 'a\n    b'],
    ["'a\\\\     b'", 'a\\     b'],
    ['"\\d\u3000\u3000\u3000\\n"', '\\d\u3000\u3000\u3000\n'],
  ])('keeps white space of any length beside an escape: %j', (text, expected) => {
    expect(value(text)).toBe(expected)
  })

  it('reads a long string with escapes as a short one', () => {
    const piece = fc.constantFrom('\\n', '\\"', '\\\\', '\\d', '\\u0041', '\\u00', ' ', '   ', 'a', '\\ ', '\\/')
    const long = 'x'.repeat(2_000)
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const short = value(`"${pieces.join('')} "`)
        expect(value(`"${pieces.join('')} ${long}"`)).toBe(`${short}${long}`)
      }),
    )
  })

  it('never reads a valid string in another way', () => {
    expect(read('"C:\\\\Users\\\\new, C:\\new\\table \\\\d"')).toEqual(['C:\\Users\\new, C:\new\table \\d'])
    expect(read('"\\frac \\u0041\\b"')).toEqual(['\frac A\b'])
  })

  it.each([
    '01234',
    '-007',
    '00',
    '1234567890123456789',
    '9007199254740993',
    '1e400',
    '0.12345678901234567890',
    '01.50',
  ])('takes %s as text, since as a number it would be another', (number) => {
    expect(read(`{"a": [${number}]}`)).toEqual([{ a: [number] }, 'number_as_text'])
  })

  it.each(['0', '-1', '0.1', '0e5', '10', '100.250', '9007199254740991', '6.02e23'])(
    'takes %s as a number',
    (number) => {
      expect(read(`[${number}]`)).toEqual([[Number(number)]])
    },
  )

  it.each(['', '{', '[1', '{"a": }', '{"a" 1}', '{a: 1}', '[1 2]', '[,]', '{"a": 1]', 'nil', '[-]', '\\'])(
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
