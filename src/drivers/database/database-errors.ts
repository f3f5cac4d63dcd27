/** SQLSTATEs and socket errors, translated once. https://www.postgresql.org/docs/current/errcodes-appendix.html */
import { AppError, brokenInvariant, isAppError } from '../../shared/errors.ts'

const retryableStates = new Set([
  '40001', // serialization_failure
  '40P01', // deadlock_detected
])

const deadlineStates = new Set([
  '57014', // query_canceled: statement_timeout
  '55P03', // lock_not_available
  '25P03', // idle_in_transaction_session_timeout
])

/** Raised by the migrations' own trigger. */
const tenantNotActiveState = 'AM001'
/** Raised at the commit by the trigger that holds quotas; its message names the quota, its detail the limit. */
const quotaState = 'AM002'

/** Connection exceptions, resources, operator intervention: the server is away or on its way out. */
const isUnavailableState = (state: string) => /^(08|53|57|58)/.test(state)

/** The SQLSTATE; undefined for what the server did not say, such as errors of the socket. */
export const stateOf = (error: unknown): string | undefined => {
  const code = (error as { code?: unknown } | null)?.code
  // Five characters with a digit among them: EPIPE and EPERM are errors of the socket.
  return typeof code === 'string' && /^(?=.*\d)[0-9A-Z]{5}$/.test(code) ? code : undefined
}

export const isRetryableTransactionError = (error: unknown): boolean => {
  const cause = isAppError(error) ? error.cause : error
  const state = stateOf(cause)
  return state !== undefined && retryableStates.has(state)
}

const unavailable = (detail: string, cause: unknown) =>
  new AppError({ code: 'database.unavailable', status: 503, retryable: true, retryAfterSeconds: 1, detail, cause })

const quotaExceeded = (error: { readonly message?: unknown; readonly detail?: unknown }): AppError => {
  const isOfMemories = error.message === 'memories'
  return new AppError({
    code: isOfMemories ? 'quota.memories' : 'quota.stored_bytes',
    status: 429,
    retryAfterSeconds: 60,
    detail: `The tenant's quota of ${error.detail} ${isOfMemories ? 'memories' : 'stored bytes'} is reached. Delete memories, erase agents, or ask the operator for more.`,
    cause: error,
  })
}

export const translateDatabaseError = (error: unknown): AppError => {
  if (isAppError(error)) return error
  const state = stateOf(error)
  if (state === undefined || isUnavailableState(state)) {
    if (state !== undefined && deadlineStates.has(state))
      return unavailable('The database did not answer within its deadline. Try again.', error)
    return unavailable('The database cannot be reached at the moment. Nothing was written. Try again.', error)
  }
  if (retryableStates.has(state) || deadlineStates.has(state))
    return unavailable('Other writes to the same rows kept this one from finishing. Try again.', error)
  if (state === '22021' || state === '22P05')
    return new AppError({
      code: 'request.unsafe_text',
      status: 400,
      detail: 'A text holds a character that cannot be stored. Remove NUL characters and lone surrogates.',
      cause: error,
    })
  if (state === tenantNotActiveState)
    return new AppError({
      code: 'tenant.not_active',
      status: 409,
      detail: 'The tenant is being deleted, or is deleted.',
      cause: error,
    })
  if (state === quotaState) return quotaExceeded(error as object)
  return brokenInvariant(`The database refused a statement (SQLSTATE ${state}).`, error)
}

/** The server answered the commit with a refusal: all of it is undone. */
export const isRefusedCommit = (error: unknown): boolean => {
  const state = stateOf(error)
  return state !== undefined && !/^(08|53|57P|58|XX)/.test(state)
}

/** The commit was sent and no answer came: it may have happened, and a retry with an idempotency key tells. */
export const commitUnknown = (cause: unknown) =>
  new AppError({
    code: 'database.commit_unknown',
    status: 503,
    retryable: true,
    retryAfterSeconds: 1,
    detail:
      'The connection broke while committing, so the write may or may not have happened. Retry with the same Idempotency-Key, or read before you retry.',
    cause,
  })
