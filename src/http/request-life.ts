/**
 * The life of a request: a bound on how many there are and how much they carry, a deadline for each, and an end when
 * the service stops. What is above a bound is refused before any work, so the service sheds load and does not collapse.
 */
import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import { draining, overloaded } from './http-errors.ts'

export type RequestLifeOptions = {
  readonly requestsInFlightMax: number
  readonly bodyBytesInFlightMax: number
  readonly bodyLimitBytes: number
  readonly requestTimeoutMs: number
  readonly streamTimeoutMs: number
}

/** Between the signal and the answer that Fastify gives by itself, for handlers that do not heed the signal. */
const graceMs = 1_000
const streamedTypes = /application\/x-ndjson|text\/event-stream/

const isStreamed = ({ schema }: Pick<RouteOptions, 'schema'>): boolean => {
  const { body, response } = (schema ?? {}) as { body?: unknown; response?: Record<string, unknown> }
  return streamedTypes.test(JSON.stringify([body, response?.['200']]))
}

const isNdjson = (type: string | undefined): boolean => type?.startsWith('application/x-ndjson') === true

export const registerRequestLife = (app: FastifyInstance, options: RequestLifeOptions) => {
  const signals = new WeakMap<FastifyRequest, AbortSignal>()
  let requests = 0
  let bodyBytes = 0
  let isDraining = false

  /** What a body may take: as declared, or all it could be; streams are read in pieces. */
  const weightOf = ({ headers }: FastifyRequest): number => {
    if (isNdjson(headers['content-type'])) return 0
    if (headers['transfer-encoding'] !== undefined) return options.bodyLimitBytes
    return Math.min(Number(headers['content-length'] ?? 0) || 0, options.bodyLimitBytes)
  }

  const admit = (request: FastifyRequest): void => {
    if (isDraining) throw draining()
    if (requests > options.requestsInFlightMax || bodyBytes > options.bodyBytesInFlightMax) throw overloaded()
    const gone = new AbortController()
    const { raw: response } = request.life
    response.once('close', () => {
      if (!response.writableFinished) gone.abort()
    })
    const deadlineMs = request.life.isStreamed ? options.streamTimeoutMs : options.requestTimeoutMs
    signals.set(request, AbortSignal.any([gone.signal, AbortSignal.timeout(deadlineMs)]))
  }
  return { signals, requests, bodyBytes, weightOf, admit }
}
