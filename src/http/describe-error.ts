/**
 * An error as it may be logged. Messages of libraries quote what they choke on (a JSON text, a row), so of errors that
 * are not the service's own only the kind, the code and the places in the program are kept.
 */
import type { FastifyBaseLogger } from 'fastify'
import { type AppError, isAppError } from '../shared/errors.ts'

const causesMax = 4

const framesOf = (stack: string | undefined): readonly string[] =>
  (stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 12)
    .map((line) => line.trim())

export const describeError = (error: unknown, depth = 0): unknown => {
  if (!(error instanceof Error)) return { type: typeof error }
  const { code } = error as { code?: unknown }
  return {
    type: error.name,
    ...(typeof code === 'string' ? { code } : {}),
    ...(isAppError(error) ? { detail: error.detail } : {}),
    stack: framesOf(error.stack),
    ...(error.cause === undefined || depth === causesMax ? {} : { cause: describeError(error.cause, depth + 1) }),
  }
}

/**
 * Tells the operator of a failure of the service or of what it needs, and in a word of what the service refused by itself: a
 * bound that was reached, a part that is not configured. Of the client's errors nothing is told.
 */
export const logFailure = (log: Pick<FastifyBaseLogger, 'error' | 'warn' | 'info'>, error: AppError): void => {
  if (error.code === 'request.aborted') log.info('the client went away')
  else if (error.status === 503 && error.cause === undefined) log.warn(error.code)
  else if (error.status >= 500) log.error({ failure: describeError(error) }, error.code)
}
