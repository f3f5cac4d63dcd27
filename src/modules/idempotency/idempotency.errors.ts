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

export const answerGone = () =>
  new AppError({
    code: 'idempotency.answer_gone',
    status: 410,
    detail:
      'The request with this Idempotency-Key was carried out, and was not carried out again. Its answer is no longer kept: it named a memory that was deleted since. Read what is there now.',
  })

export const agentErased = () =>
  new AppError({
    code: 'idempotency.agent_erased',
    status: 409,
    retryable: true,
    detail: 'The agent was erased while the request was under way, and with it what the request did. Send it again.',
  })
