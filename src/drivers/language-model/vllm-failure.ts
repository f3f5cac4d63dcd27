/** Translates what the OpenAI client throws, once, by the replies that were recorded from vLLM (test/fixtures/vllm). */
import { APIConnectionError, APIConnectionTimeoutError, APIError } from 'openai'
import { type AppError, isAppError } from '../../shared/errors.ts'
import { isBodyTooLong } from '../calls/bounded-body.ts'
import { retryAfterMs } from '../calls/retry-after.ts'
import { inferenceMisbehaved, inferenceRefused, inferenceUnavailable, promptTooLong } from './inference-errors.ts'

export type Failure = {
  readonly error: AppError
  /** True when the server is not there or not well, which opens the breaker. */
  readonly isAway: boolean
  /** After this pause another try is safe, since nothing was begun. Null: something may have been, or it does not help. */
  readonly retryMs: number | null
}

const refusedPause = 100
const final = (error: AppError): Failure => ({ error, isAway: false, retryMs: null })

/** The error with all that it came from; a name with several addresses fails with an error for each. */
const causesOf = (error: unknown): readonly Error[] => {
  if (!(error instanceof Error)) return []
  const several: readonly unknown[] = error instanceof AggregateError ? error.errors : []
  return [error, ...several.flatMap(causesOf), ...causesOf(error.cause)]
}

/** True when no connection came about, so that nothing can have been sent. */
const isBeforeSending = (error: unknown): boolean =>
  causesOf(error).some(
    (cause) =>
      ('syscall' in cause && cause.syscall === 'connect') || ('code' in cause && cause.code === 'ECONNREFUSED'),
  )

const notReached = (error: unknown): Failure => ({
  error: inferenceUnavailable(
    'The model server cannot be reached. Check that it runs under the configured url, or try again.',
    { cause: error },
  ),
  isAway: true,
  retryMs: isBeforeSending(error) ? refusedPause : null,
})

const notAble = ({ status, headers }: APIError): Failure => {
  const pauseMs = retryAfterMs(headers?.get('retry-after') ?? null, Date.now())
  const retryAfterSeconds = Math.max(1, Math.ceil((pauseMs ?? 0) / 1_000))
  const detail = `The model server is not able to answer at the moment (status ${status}). Try again.`
  return {
    error: inferenceUnavailable(detail, { retryAfterSeconds }),
    isAway: status !== 429,
    retryMs: status === 429 || status === 503 ? (pauseMs ?? null) : null,
  }
}

/** Names of fields are the driver's own words; anything else that a server says may repeat a prompt. */
const fieldOf = ({ param }: APIError): string =>
  typeof param === 'string' && /^[A-Za-z_.0-9]{1,60}$/.test(param) ? ` (field ${param})` : ''

const isTooLong = ({ param, message }: APIError): boolean =>
  param === 'input_tokens' || /maximum context length/i.test(message)

const rejected = (error: APIError, windowTokens: number | null): AppError => {
  const { status } = error
  if (isTooLong(error)) return promptTooLong(windowTokens)
  if (status === 401 || status === 403)
    return inferenceRefused('The model server refuses the key. Check the configured key of the model server.')
  if (status === 404 && error.type === 'NotFoundError')
    return inferenceRefused('The model server does not serve the model. Check the configured name of the model.')
  if (status === 404 || status === 405 || (status ?? 0) < 400)
    return inferenceRefused('The model server does not know the path. Check the configured url of the model server.')
  return inferenceRefused(`The model server refuses the request with status ${status}${fieldOf(error)}.`)
}

export const failureOf = (error: unknown, windowTokens: number | null): Failure => {
  if (isAppError(error)) return final(error)
  if (isBodyTooLong(error)) return final(inferenceMisbehaved('more than was asked for'))
  if (error instanceof SyntaxError) return final(inferenceMisbehaved('something that is not JSON'))
  if (error instanceof APIConnectionTimeoutError || error instanceof APIConnectionError) return notReached(error.cause)
  if (!(error instanceof APIError) || typeof error.status !== 'number') return notReached(error)
  const isPassing = error.status === 408 || error.status === 425 || error.status === 429 || error.status >= 500
  return isPassing ? notAble(error) : final(rejected(error, windowTokens))
}
