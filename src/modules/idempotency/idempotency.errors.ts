import { AppError } from '../../shared/errors.ts'

export const idempotencyConflict = () =>
  new AppError({
    code: 'idempotency.key_reused',
    status: 422,
    detail: 'This Idempotency-Key was used with another request. Use a new key for a new request.',
  })

export const idempotencyInFlight = () =>
  new AppError({
    code: 'idempotency.in_flight',
    status: 409,
    retryable: true,
    retryAfterSeconds: 1,
    detail: 'A request with this Idempotency-Key is still under way. Ask again in a moment.',
  })
