/** What is refused for now: there is too much of it, or the service stops. */
import { AppError } from '../shared/errors.ts'

export const rateLimited = (retryAfterSeconds: number) =>
  new AppError({
    code: 'quota.requests_per_second',
    status: 429,
    retryable: true,
    retryAfterSeconds,
    detail: 'Too many requests. Wait as Retry-After says, then go on more slowly.',
  })

export const tooManyWrongKeys = (retryAfterSeconds: number) =>
  new AppError({
    code: 'auth.too_many_wrong_keys',
    status: 429,
    retryable: true,
    retryAfterSeconds,
    detail:
      'This key is missing from those that are live, and too many such keys came from this address. Mend the key first; a live one is taken at once.',
  })

export const overloaded = () =>
  new AppError({
    code: 'server.overloaded',
    status: 503,
    retryable: true,
    retryAfterSeconds: 1,
    detail: 'The service is at its limit and takes no more requests for the moment. Try again.',
  })

/** The tenant's own bound, whatever else the service does. */
const ownBoundReached = (code: string, what: string) => () =>
  new AppError({
    code,
    status: 429,
    retryable: true,
    retryAfterSeconds: 1,
    detail: `The tenant has as many ${what} under way as one tenant may. Wait for some of them to end, or send fewer at once.`,
  })

export const tenantRequestsInFlight = ownBoundReached('quota.requests_in_flight', 'requests')
export const tenantBodyBytesInFlight = ownBoundReached('quota.body_bytes_in_flight', 'bytes of bodies')
export const tenantStreamsInFlight = ownBoundReached('quota.streams_in_flight', 'imports, exports and event streams')

/** Of pages without a key, and of metrics with the key for them: nobody's alarm. */
export const readersInFlight = () =>
  new AppError({
    code: 'quota.requests_in_flight',
    status: 429,
    retryable: true,
    retryAfterSeconds: 1,
    detail: 'As many requests of this kind are under way as may be beside those of tenants. Try again.',
  })

export const draining = () =>
  new AppError({
    code: 'server.draining',
    status: 503,
    retryable: true,
    retryAfterSeconds: 2,
    detail: 'The service is stopping. Try again: another process takes over.',
  })
