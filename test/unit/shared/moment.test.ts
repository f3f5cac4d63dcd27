import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromTimestamptz, parseMoment } from '../../../src/shared/moment.ts'

const utcOf = (text: string) => parseMoment(text)?.utc ?? null
const two = (value: number) => String(value).padStart(2, '0')

describe('a moment', () => {
  it('is told in UTC, with the digits that the database keeps and no more', () => {
    expect(utcOf('0024-05-01T12:00:00Z')).toBe('0024-05-01T12:00:00.000Z')
    expect(utcOf('0001-01-01T00:00:00Z')).toBe('0001-01-01T00:00:00.000Z')
    expect(utcOf('0099-12-31t23:59:59.9999999z')).toBe('0099-12-31T23:59:59.999999Z')
    expect(utcOf('9999-12-31T23:59:59.999Z')).toBe('9999-12-31T23:59:59.999Z')
    expect(utcOf('2024-02-29T00:00:00.1+14:00')).toBe('2024-02-28T10:00:00.100Z')
    expect(utcOf('2024-03-15T00:30:00.123456-23:59')).toBe('2024-03-16T00:29:00.123456Z')
    expect(utcOf('0000-12-31T23:00:00-01:00')).toBe('0001-01-01T00:00:00.000Z')
    expect(utcOf('2024-03-15T00:30:00-00:00')).toBe('2024-03-15T00:30:00.000Z')
  })

  it('keeps the offset that it was sent with', () => {
    expect(parseMoment('2024-03-15T00:30:00+09:00')).toEqual({ utc: '2024-03-14T15:30:00.000Z', offsetMinutes: 540 })
    expect(parseMoment('2024-03-15T00:30:00-03:30')?.offsetMinutes).toBe(-210)
    expect(parseMoment('2024-03-15T00:30:00-00:00')?.offsetMinutes).toBe(0)
  })

  it.each([
    '2016-12-31T23:59:60Z',
    '2024-01-01T24:00:00Z',
    '2023-02-29T00:00:00Z',
    '1900-02-29T00:00:00Z',
    '2024-02-30T00:00:00Z',
    '2024-13-01T00:00:00Z',
    '2024-00-01T00:00:00Z',
    '2024-01-00T00:00:00Z',
    '2024-01-01T00:60:00Z',
    '2024-01-01T00:00:00+24:00',
    '2024-01-01T00:00:00+01:60',
    '2024-01-01T00:00:00+09',
    '2024-01-01T00:00:00',
    '2024-01-01 00:00:00Z',
    '2024-01-01T00:00:00.Z',
    '2024-01-01',
    '0000-01-01T00:00:00Z',
    '0001-01-01T00:00:00+00:01',
    '9999-12-31T23:59:59-12:00',
    '+12024-01-01T00:00:00Z',
    '٢٠٢٤-01-01T00:00:00Z',
    '',
  ])('that cannot be kept is refused: %s', (text) => {
    expect(parseMoment(text)).toBeNull()
  })

  it('V1: is the same instant whatever its offset, for every year from 0001 to 9999', () => {
    const part = (max: number) => fc.integer({ min: 0, max })
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 9998 }),
        fc.tuple(part(11), part(27), part(23), part(59), part(59), part(999_999)),
        fc.integer({ min: -1439, max: 1439 }),
        (year, [month, day, hour, minute, second, micros], offset) => {
          const date = `${String(year).padStart(4, '0')}-${two(month + 1)}-${two(day + 1)}`
          const fraction = String(micros).padStart(6, '0')
          const [size, sign] = [Math.abs(offset), offset < 0 ? '-' : '+']
          const zone = `${sign}${two(Math.floor(size / 60))}:${two(size % 60)}`
          const read = parseMoment(`${date}T${two(hour)}:${two(minute)}:${two(second)}.${fraction}${zone}`)
          const here = new Date(0)
          here.setUTCFullYear(year, month, day + 1)
          here.setUTCHours(hour, minute - offset, second)
          expect(read?.utc.slice(0, 19)).toBe(here.toISOString().slice(0, 19))
          expect(read?.utc.slice(20, -1).padEnd(6, '0')).toBe(fraction)
          expect(read?.offsetMinutes).toBe(offset)
        },
      ),
    )
  })
})

describe('a moment of the database', () => {
  it('is told as it stands there', () => {
    expect(fromTimestamptz('0024-05-01 12:00:00+00')).toBe('0024-05-01T12:00:00.000Z')
    expect(fromTimestamptz('2024-03-15 00:30:00.5+00')).toBe('2024-03-15T00:30:00.500Z')
    expect(fromTimestamptz('2024-03-15 00:30:00.000001+00')).toBe('2024-03-15T00:30:00.000001Z')
  })

  it('that RFC 3339 cannot say is read as the nearest that it can, and is reported', () => {
    const reported: string[] = []
    const read = (text: string) => fromTimestamptz(text, (value) => reported.push(value))
    const [first, last] = ['0001-01-01T00:00:00.000Z', '9999-12-31T23:59:59.999999Z']
    expect(read('-infinity')).toBe(first)
    expect(read('0044-03-15 12:00:00+00 BC')).toBe(first)
    expect(read('infinity')).toBe(last)
    expect(read('10000-01-01 00:00:00+00')).toBe(last)
    expect(read('294276-12-31 23:59:59.999999+00')).toBe(last)
    expect(reported).toHaveLength(5)
  })

  it('of another style or time zone is a fault, not another moment', () => {
    for (const text of ['15.03.2024 00:30:00 UTC', '2024-03-15 00:30:00+09', '2024-03-15', ''])
      expect(() => fromTimestamptz(text)).toThrow()
  })
})
