import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isExactNumber } from '../../../src/shared/exact-numbers.ts'
import { readJson } from '../../../src/shared/read-json.ts'

const pointerOf = (text: string) => {
  const read = readJson(text)
  return read.ok ? 'taken' : (read.fault?.pointer ?? 'no JSON')
}

describe('a number of JSON', () => {
  it.each([
    ...['0', '-0', '1', '1.0', '1.50', '-9007199254740991', '9007199254740991', '0.1', '0.30000000000000004', '1e2'],
    ...['0.10000000000000001', '0.69999998807907104', '1e300', '1.7976931348623157e308', '5e-324', '0e999', '1E+20'],
    ...['100000000000000000000.0', '0.000000000000000000001', '-1.5e-300', '123456789012345.6'],
    ...['678415831983797.2', '-562949953421312.2'],
  ])('%s is kept', (token) => {
    expect(isExactNumber(token)).toBe(true)
    expect(pointerOf(`[${token}]`)).toBe('taken')
  })

  it.each([
    ...['1234567890123456789', '-1234567890123456789', '9007199254740992', '9007199254740993', '100000000000000000000'],
    ...[
      '12345678901234567.0',
      '1.234567890123456789e18',
      '1234567890123456.7',
      '0.1234567890123456789',
      '1e400',
      '-1e400',
    ],
    ...['1e-400', '1.2345678e-320', '9007199254740993.0', '0.10000000000000000555'],
  ])('%s would become another, and is refused', (token) => {
    expect(isExactNumber(token)).toBe(false)
    expect(pointerOf(`{"a":[1,${token}]}`)).toBe('/a/1')
  })

  it('V1: is kept if it is what a program prints for a float, or a whole number that a float can tell from the next', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.maxSafeInteger(), (float, whole) => {
        const printed = float.toExponential()
        expect([isExactNumber(printed), isExactNumber(`${whole}`)]).toEqual([true, true])
        expect(readJson(`[${printed}, ${whole}]`)).toEqual({ ok: true, value: [float + 0, whole] })
      }),
    )
  })

  it('that is refused is pointed at, whatever stands around it', () => {
    const long = '1234567890123456789'
    expect(pointerOf(long)).toBe('')
    expect(pointerOf(`{"a/b~":{"c":[[],{},{"d":${long}}]}}`)).toBe('/a~1b~0/c/2/d')
    expect(pointerOf(`{"x":"1","y,]}:{[\\"":[true,null,"\\\\",-${long}]}`)).toBe('/y,]}:{["/3')
    expect(pointerOf(`{"é":1.5,"b":{"":${long}}}`)).toBe('/b/')
    expect(pointerOf(`{"a":"${long}","b":"\\\\\\"${long}"}`)).toBe('taken')
    expect(pointerOf(`[${long}`)).toBe('no JSON')
    expect(pointerOf('[01]')).toBe('no JSON')
  })

  it('is found in any JSON, and nothing else of it is mistaken for one', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
        const text = JSON.stringify(value)
        fc.pre(!/\d{16}/.test(text))
        expect(readJson(text)).toEqual({ ok: true, value: JSON.parse(text) })
        expect(pointerOf(`{"a":${text},"b":1e999}`)).toBe('/b')
      }),
    )
  })
})
