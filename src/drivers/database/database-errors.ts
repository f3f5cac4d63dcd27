/** SQLSTATEs and socket errors, translated once. https://www.postgresql.org/docs/current/errcodes-appendix.html */
import { AppError, brokenInvariant, isAppError } from '../../shared/errors.ts'

/** The server took the transaction back and would take it in another order. */
const brokenOffStates = new Set([
  '40001', // serialization_failure
  '40P01', // deadlock_detected
])

/** What the connection holds is of another schema: "cached plan must not change result type". */
const staleStatementState = '0A000'
/** read_only_sql_transaction: the server is, or has become, a standby. */
const readOnlyState = '25006'

/** Raised by the migrations' own trigger. */
const tenantNotActiveState = 'AM001'
/** Raised at the commit by the trigger that holds quotas; its message names the quota, its detail the limit. */
const quotaState = 'AM002'

const unreachable = 'The database cannot be reached at the moment. Nothing was written. Try again.'
const tooLate = 'The database did not answer within its deadline. Nothing was written. Try again.'

/** In the client's words where the operator has to do something, so that a report of it says what. */
const unavailableDetails: Readonly<Record<string, string>> = {
  '57014': tooLate, // query_canceled: statement_timeout
  '25P03': tooLate, // idle_in_transaction_session_timeout
  '25P04': tooLate, // transaction_timeout
  '53100': 'The disk of the database is full. Nothing was written. Try again once there is space.',
  '53200': 'The database is out of memory. Nothing was written. Try again.',
  '53300': 'The database has no connection left. Nothing was written. Try again.',
  '57P01': 'The database is being stopped. Nothing was written. Try again.',
  '57P03': 'The database is starting. Nothing was written. Try again.',
  [readOnlyState]: 'The database takes no writes, as during a failover. Nothing was written. Try again.',
}

/** Connection exceptions, resources, operator intervention, the system: the server is away or on its way out. */
const isUnavailableState = (state: string) => /^(08|53|57|58)/.test(state) || state in unavailableDetails

/** The SQLSTATE; undefined for what the server did not say, such as errors of the socket. */
export const stateOf = (error: unknown): string | undefined => {
  const code = (error as { code?: unknown } | null)?.code
  // Five characters with a digit among them: EPIPE and EPERM are errors of the socket.
  return typeof code === 'string' && /^(?=.*\d)[0-9A-Z]{5}$/.test(code) ? code : undefined
}

const stateOfCause = (error: unknown): string | undefined => stateOf(isAppError(error) ? error.cause : error)

/** Nothing of it was kept, and it may go through when it is done again from its beginning. */
export const isRetryableTransactionError = (error: unknown): boolean => {
  const state = stateOfCause(error)
  return state !== undefined && (brokenOffStates.has(state) || state === staleStatementState)
}

/** Connections that are open now are of no more use: the schema or the server behind them is another one. */
export const outdatesConnections = (error: unknown): boolean => {
  const state = stateOfCause(error)
  return state === staleStatementState || state === readOnlyState
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

const busy = (detail: string, { retryAfterSeconds, cause }: { retryAfterSeconds: number; cause?: unknown }) =>
  new AppError({ code: 'database.busy', status: 503, retryable: true, retryAfterSeconds, detail, cause })

export const databaseBusy = (retryAfterSeconds: number): AppError =>
  busy('Too much work of this tenant waits for the database. Nothing was written. Try again.', { retryAfterSeconds })

/** The driver decodes rows in this process: what goes wrong there is no matter of the connection. */
const isOwnMistake = (error: unknown): boolean =>
  (error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof SyntaxError ||
    error instanceof ReferenceError) &&
  (error as { code?: unknown }).code === undefined

const translateState = (state: string, error: unknown): AppError => {
  if (isUnavailableState(state)) return unavailable(unavailableDetails[state] ?? unreachable, error)
  if (brokenOffStates.has(state))
    return busy('Other writes to the same rows kept this one from finishing. Nothing was written. Try again.', {
      retryAfterSeconds: 1,
      cause: error,
    })
  // lock_not_available: lock_timeout
  if (state === '55P03')
    return busy('Another request holds what this one needs for longer than may be waited. Try again.', {
      retryAfterSeconds: 1,
      cause: error,
    })
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

export const translateDatabaseError = (error: unknown): AppError => {
  if (isAppError(error)) return error
  if (isOwnMistake(error)) return brokenInvariant('A value of the database could not be read or written.', error)
  const state = stateOf(error)
  return state === undefined ? unavailable(unreachable, error) : translateState(state, error)
}

/**
 * Of a commit that failed. What the server refused and answered is undone, and may be told like any other refusal. When
 * the connection broke, the server was on its way out or could not write its log, it may have happened; a retry with an
 * idempotency key tells.
 */
export const translateCommitError = (error: unknown): AppError => {
  const state = stateOf(error)
  const isUndone = state !== undefined && !/^(08|53|57P|58|XX)/.test(state)
  return isUndone ? translateDatabaseError(error) : commitUnknown(error)
}

const commitUnknown = (cause: unknown) =>
  new AppError({
    code: 'database.commit_unknown',
    status: 503,
    retryable: true,
    retryAfterSeconds: 1,
    detail:
      'The connection broke while committing, so the write may or may not have happened. Retry with the same Idempotency-Key, or read before you retry.',
    cause,
  })
