/**
 * Moments: RFC 3339 on the wire, timestamptz in the database. Between the two nothing goes through a `Date` as text: it
 * keeps milliseconds only, and reads years before 100 as years of the last century.
 *
 * Invariant: a moment of the years 0001 to 9999 in UTC is read back as the same instant, to the microsecond, which is what
 * the database keeps. Digits beyond that are cut, not rounded, so that no moment moves into the next day.
 */
import { AppError } from './errors.ts'

export type Moment = {
  /** `2024-03-14T15:30:00.000Z`, with six digits where the microseconds need them. */
  readonly utc: string
  /** Of the clock that it was read from, east of Greenwich: 540 for `+09:00`. */
  readonly offsetMinutes: number
}

const form = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/
const minuteMs = 60_000
const wholeSecond = 19

/** `Date.UTC` takes the years 0 to 99 for those of the last century. */
const secondOf = (year: number, monthIndex: number, [day, hour, minute, second]: readonly number[]): Date => {
  const date = new Date(0)
  date.setUTCFullYear(year, monthIndex, day)
  date.setUTCHours(hour ?? 0, minute, second)
  return date
}

const withFraction = (second: string, fraction: string): string => {
  const digits = fraction.slice(0, 6).padEnd(6, '0')
  return `${second}.${digits.endsWith('000') ? digits.slice(0, 3) : digits}Z`
}

/** Null for what is no moment of the years 0001 to 9999 in UTC; leap seconds, 24:00 and 30 February are none. */
export const parseMoment = (text: string): Moment | null => {
  const [, years, months, days, hours, minutes, seconds, fraction = '', sign, offsetHours = '0', offsetRest = '0'] =
    form.exec(text) ?? []
  if (years === undefined) return null
  const clock = secondOf(Number(years), Number(months) - 1, [days, hours, minutes, seconds].map(Number))
  const isOffset = Number(offsetHours) < 24 && Number(offsetRest) < 60
  // A Date carries what is too much over into the next field.
  const isCarried = clock.toISOString().slice(0, wholeSecond) !== `${text.slice(0, 10)}T${text.slice(11, wholeSecond)}`
  if (isCarried || !isOffset) return null
  const offsetMinutes = (sign === '-' ? -1 : 1) * (Number(offsetHours) * 60 + Number(offsetRest))
  const utc = new Date(clock.getTime() - offsetMinutes * minuteMs)
  const year = utc.getUTCFullYear()
  if (year < 1 || year > 9999) return null
  // No minus zero: `-00:00` says nothing of the place.
  return { utc: withFraction(utc.toISOString().slice(0, wholeSecond), fraction), offsetMinutes: offsetMinutes + 0 }
}

const detail =
  'must be a moment such as 2024-03-15T09:30:00+01:00, of the years 0001 to 9999 in UTC, and no leap second'

/** @throws AppError `request.invalid_moment` (422) */
export const readMoment = (text: string, pointer: string): Moment => {
  const moment = parseMoment(text)
  if (moment !== null) return moment
  throw new AppError({
    code: 'request.invalid_moment',
    status: 422,
    detail: 'A time cannot be stored. Mend the field that is named in errors.',
    errors: [{ pointer, detail }],
  })
}

/** A moment as one in UTC. @throws AppError `request.invalid_moment` (422) */
export const toUtc = (moment: string, pointer: string): string => readMoment(moment, pointer).utc

const storedForm = /^(\d{4})-(\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?\+00$/
const earliest = '0001-01-01T00:00:00.000Z'
const latest = '9999-12-31T23:59:59.999999Z'

/**
 * A timestamptz as PostgreSQL writes it, in UTC and in ISO style. What RFC 3339 cannot say (infinity, years before Christ,
 * years above 9999) becomes the first or the last moment that it can, and `onUnreadable` is told: one such value, put
 * there by hand, must not keep the rows around it from being read. @throws Error on another style or time zone
 */
export const fromTimestamptz = (text: string, onUnreadable: (text: string) => void = () => {}): string => {
  const [, year, day, time, fraction = ''] = storedForm.exec(text) ?? []
  if (year !== undefined && year !== '0000') return withFraction(`${year}-${day}T${time}`, fraction)
  const isEarly = text === '-infinity' || text.endsWith(' BC')
  if (!isEarly && text !== 'infinity' && !/^\d{5,6}-/.test(text)) throw new Error('not a moment in ISO style and UTC')
  onUnreadable(text)
  return isEarly ? earliest : latest
}
