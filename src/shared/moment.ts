import { AppError } from './errors.ts'

const earliestMs = Date.parse('0001-01-01T00:00:00Z')
const latestMs = Date.parse('9999-12-31T23:59:59.999Z')

/**
 * A moment in the form of RFC 3339 as one in UTC. That form allows leap seconds and, by their offset, years that neither
 * a Date nor the database has. @throws AppError `request.invalid_moment` (422)
 */
export const toUtc = (moment: string, pointer: string): string => {
  const ms = Date.parse(moment)
  if (ms >= earliestMs && ms <= latestMs) return new Date(ms).toISOString()
  const detail = 'must be a moment of the years 0001 to 9999 in UTC, and no leap second'
  throw new AppError({
    code: 'request.invalid_moment',
    status: 422,
    detail: 'A time cannot be stored. Mend the field that is named in errors.',
    errors: [{ pointer, detail }],
  })
}
