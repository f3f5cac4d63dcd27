/**
 * One exchange with the embedding server: a POST with a deadline, repeated where that is safe. Embedding has no effect,
 * so what broke on the way, was too busy or failed inside the server is tried again, after the pause the server asks
 * for or a growing one. A timeout is not: a server that slow does not get faster by twice the work.
 *
 * It is plain `fetch` and not the OpenAI client, which reads its own environment variables, cannot be interrupted while
 * it waits to try again, and takes vectors for base64 even when the server answered with numbers.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type AppError, isAppError } from '../../shared/errors.ts'
import { boundResponse, isBodyTooLong } from '../calls/bounded-body.ts'
import { retryAfterMs } from '../calls/retry-after.ts'
import { embedderMisbehaved, embedderUnavailable } from './embedder-errors.ts'

export type Exchange = {
  readonly endpoint: URL
  readonly headers: Readonly<Record<string, string>>
  /** For the exchange with all its attempts and pauses. */
  readonly timeoutMs: number
  readonly retriesMax: number
  /** Before the first retry; it doubles with each. */
  readonly backoffMs: number
}

/** `rejected`: the server does not want this very request (too long, too many, unknown field). */
export type ExchangeOutcome =
  | { readonly outcome: 'answered'; readonly body: unknown }
  | { readonly outcome: 'rejected' }

type Failure = { readonly error: AppError; readonly pauseMs: number | undefined }

const finalDetails: Readonly<Record<number, string>> = {
  401: 'The embedding server refuses the key. Check the configured key of the embedder.',
  403: 'The embedding server refuses the key. Check the configured key of the embedder.',
  404: 'The embedding server does not know the path or the model. Check the configured url and model of the embedder.',
  405: 'The embedding server does not take embeddings at this path. Check the configured url of the embedder.',
}

const isRejection = (status: number) => status === 400 || status === 413 || status === 422
const isPassing = (status: number) => status === 408 || status === 425 || status === 429 || status >= 500

/** @throws Failure when another attempt may help, AppError when not */
const readResponse = async (response: Response): Promise<ExchangeOutcome | Failure> => {
  const { status } = response
  if (status === 200) return { outcome: 'answered', body: await response.json() }
  await response.body?.cancel()
  if (isRejection(status)) return { outcome: 'rejected' }
  if (isPassing(status)) {
    const pauseMs = retryAfterMs(response.headers.get('retry-after'), Date.now())
    const retryAfterSeconds = Math.max(1, Math.ceil((pauseMs ?? 0) / 1_000))
    const detail = `The embedding server is not able to answer at the moment (status ${status}). Try again.`
    return { error: embedderUnavailable(detail, { retryAfterSeconds }), pauseMs }
  }
  throw embedderUnavailable(finalDetails[status] ?? `The embedding server answers with status ${status}.`)
}

type Attempt = { readonly text: string; readonly answerBytesMax: number; readonly signal: AbortSignal }

const attempt = async (
  { endpoint, headers }: Exchange,
  { text: body, answerBytesMax, signal }: Attempt,
): Promise<ExchangeOutcome | Failure> => {
  try {
    const response = await fetch(endpoint, { method: 'POST', headers, body, signal, redirect: 'manual' })
    return await readResponse(boundResponse(response, answerBytesMax))
  } catch (error) {
    if (signal.aborted) throw signal.reason
    if (isAppError(error)) throw error
    if (isBodyTooLong(error)) throw embedderMisbehaved('more than the vectors that were asked for')
    if (error instanceof SyntaxError) throw embedderMisbehaved('something that is not JSON')
    const detail = 'The embedding server cannot be reached at the moment. Try again.'
    return { error: embedderUnavailable(detail, { cause: error }), pauseMs: undefined }
  }
}

export type Post = {
  readonly body: object
  readonly answerBytesMax: number
  readonly signal: AbortSignal | undefined
}

/** @throws AppError `embedder.unavailable` or `embedder.misbehaved`; the signal's reason when it aborts */
export const postEmbeddings = async (
  exchange: Exchange,
  { body, answerBytesMax, signal }: Post,
): Promise<ExchangeOutcome> => {
  const { timeoutMs, retriesMax, backoffMs } = exchange
  const deadline = AbortSignal.timeout(timeoutMs)
  const ends = signal === undefined ? deadline : AbortSignal.any([signal, deadline])
  const text = JSON.stringify(body)
  const startedMs = performance.now()
  try {
    for (let retries = 0; ; retries += 1) {
      const result = await attempt(exchange, { text, answerBytesMax, signal: ends })
      if ('outcome' in result) return result
      const pauseMs = result.pauseMs ?? backoffMs * 2 ** retries * (1 + Math.random())
      const isTooLate = performance.now() - startedMs + pauseMs >= timeoutMs
      if (retries >= retriesMax || isTooLate) throw result.error
      await sleep(pauseMs, undefined, { signal: ends })
    }
  } catch (error) {
    signal?.throwIfAborted()
    if (deadline.aborted)
      throw embedderUnavailable(`The embedding server did not answer within ${timeoutMs} ms. Try again.`)
    throw error
  }
}
