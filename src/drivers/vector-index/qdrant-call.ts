/**
 * One exchange with Qdrant: a deadline, one more try where that can help, and a breaker, so that a server that is away
 * costs a request microseconds and not a deadline. Everything the driver asks for may be asked twice: writes name their
 * points and carry their condition.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Dispatcher } from 'undici'
import type { Clock } from '../../shared/clock.ts'
import { type AppError, isAppError } from '../../shared/errors.ts'
import { isJsonObject } from '../../shared/json-limits.ts'
import { createBreaker } from '../calls/breaker.ts'
import { unreadable } from './qdrant-answers.ts'
import { vectorIndexMisbehaved, vectorIndexUnavailable } from './vector-index-errors.ts'

const retryAfterMs = 25

export type CallLimits = { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined }

/** A redirect is not followed: it would carry the key to another server. */
export type CallInit = { readonly signal: AbortSignal; readonly redirect: 'manual' }

type Exchange = (init: CallInit) => Promise<{ readonly data: unknown }>

/** @throws AppError when the result is not what was asked for */
type Read<T> = (result: unknown) => T

/**
 * @throws AppError `vector_index.unavailable` or `vector_index.misbehaved`; the signal's reason when the caller no longer
 *   wants the answer (a deadline of the caller's is a missed deadline like any other)
 */
export type QdrantCall = <T>(exchange: Exchange, read: Read<T>, limits: CallLimits) => Promise<T>

/** The status of an answer that the client made an error of; 0 when there was no answer. */
export const statusOf = (error: unknown): number =>
  error instanceof Error && 'status' in error && typeof error.status === 'number' ? error.status : 0

/** What an answer that the client made an error of says by itself; a proxy's page says nothing that counts. */
const serverErrorOf = (error: unknown): string => {
  const data = error instanceof Error && 'data' in error ? error.data : null
  const status = isJsonObject(data) && isJsonObject(data.status) ? data.status.error : null
  return typeof status === 'string' ? status : ''
}

/** The server itself says that there is no such collection. Any other 404 leaves it open. */
export const isMissingCollection = (error: unknown): boolean =>
  statusOf(error) === 404 && /doesn't exist|not found/i.test(serverErrorOf(error))

const serverMessageOf = (error: unknown): string => {
  const data = error instanceof Error && 'data' in error ? error.data : null
  return JSON.stringify(data) ?? ''
}

/** Nothing is behind the alias, or a collection with the vectors of another embedder. */
export const isOfNoUse = (error: unknown): boolean =>
  statusOf(error) === 404 || (statusOf(error) === 400 && /not existing vector name/i.test(serverMessageOf(error)))

const isMissedDeadline = (error: unknown): boolean => error instanceof Error && error.name === 'TimeoutError'

const translate = (error: unknown): AppError => {
  const status = statusOf(error)
  if (isAppError(error)) return error
  if (isMissedDeadline(error)) return vectorIndexUnavailable('Qdrant did not answer in time.', error)
  if (status === 0) return vectorIndexUnavailable('Qdrant cannot be reached.', error)
  if (isOfNoUse(error))
    return vectorIndexUnavailable('Qdrant has no index for this embedder until it is rebuilt.', error)
  if (status === 408 || status === 429 || status >= 500)
    return vectorIndexUnavailable(`Qdrant answered with status ${status}.`, error)
  if (status === 401 || status === 403) return vectorIndexMisbehaved('Qdrant refused the API key.', error)
  if (/dimension/i.test(serverMessageOf(error)))
    return vectorIndexMisbehaved('Qdrant holds vectors of other dimensions. Reindex with the present embedder.', error)
  return vectorIndexMisbehaved(`Qdrant refused a request with status ${status}.`, error)
}

/** A connection that was closed while it was idle shows only when it is used again. */
const isWorthAnotherTry = (error: unknown): boolean => {
  const status = statusOf(error)
  return !isAppError(error) && (status === 0 || status === 429 || status >= 500)
}

/** Why the signal aborted: as it is, or as a missed deadline of the index when the caller's time ran out. */
const abortErrorOf = ({ reason }: AbortSignal): unknown => (isMissedDeadline(reason) ? translate(reason) : reason)

export type QdrantCallOptions = {
  readonly clock: Clock
  readonly logger: Logger
  readonly dispatcher: Dispatcher
}

export const createQdrantCall = ({ clock, logger, dispatcher }: QdrantCallOptions): QdrantCall => {
  const breaker = createBreaker({ server: 'Qdrant', unavailable: vectorIndexUnavailable, clock, logger })

  const exchangeOnce = async <T>(exchange: Exchange, read: Read<T>, signal: AbortSignal): Promise<T> => {
    const init: CallInit & { readonly dispatcher: Dispatcher } = { signal, redirect: 'manual', dispatcher }
    const { data } = await exchange(init)
    if (!isJsonObject(data) || data.result === undefined) throw unreadable('something else than Qdrant does')
    return read(data.result)
  }

  const exchangeTwice = async <T>(exchange: Exchange, read: Read<T>, signal: AbortSignal): Promise<T> => {
    try {
      return await exchangeOnce(exchange, read, signal)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (!isWorthAnotherTry(error)) throw error
    }
    await sleep(retryAfterMs, undefined, { signal }).catch(() => signal.throwIfAborted())
    return exchangeOnce(exchange, read, signal).catch((error: unknown) => {
      throw signal.aborted ? signal.reason : error
    })
  }

  return async (exchange, read, { timeoutMs, signal: wanted }) => {
    if (wanted?.aborted) throw abortErrorOf(wanted)
    breaker.ensureMayCall()
    const deadline = AbortSignal.timeout(timeoutMs)
    try {
      const ends = wanted === undefined ? deadline : AbortSignal.any([wanted, deadline])
      const result = await exchangeTwice(exchange, read, ends)
      breaker.noteAnswer()
      return result
    } catch (error) {
      if (wanted?.aborted && !isMissedDeadline(wanted.reason)) throw error
      const translated = translate(error)
      if (translated.retryable && !isOfNoUse(error)) breaker.noteFailure(translated)
      else breaker.noteAnswer()
      throw translated
    }
  }
}

/** Gives up on what others wait for too, which goes on, as soon as the signal aborts. */
export const untilAborted = async <T>(shared: Promise<T>, signal: AbortSignal | undefined): Promise<T> => {
  if (signal === undefined) return shared
  let abort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(abortErrorOf(signal))
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
  })
  return Promise.race([shared, aborted]).finally(() => signal.removeEventListener('abort', abort))
}
