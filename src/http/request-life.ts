/**
 * The life of a request: a bound on how many there are and on what they carry, a deadline for each, and an end when the
 * service stops. What is above a bound is refused before any work is done, so the service sheds load and does not
 * collapse. Public routes are always answered: they tell how the service is.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { draining, overloaded } from './http-errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Takes or gives a stream, and so has longer. Follows from the route's schema. */
    isStreamed?: boolean
  }
}

export type RequestLifeOptions = {
  readonly requestsInFlightMax: number
  readonly bodyBytesInFlightMax: number
  readonly bodyLimitBytes: number
  readonly requestTimeoutMs: number
  readonly streamTimeoutMs: number
}

/** From the signal to the answer that is given in place of a handler that does not heed it. */
const graceMs = 1_000
const streamedTypes = /application\/x-ndjson|text\/event-stream/

const isStreamed = ({ schema }: Pick<RouteOptions, 'schema'>): boolean => {
  const { body, response } = (schema ?? {}) as { body?: unknown; response?: Record<string, unknown> }
  return streamedTypes.test(JSON.stringify([body, response?.['200']]))
}

/** Bytes that a body may take in memory: as declared, or all it could be. Streams are read piece by piece. */
const weightOf = ({ headers }: FastifyRequest, bodyLimitBytes: number): number => {
  if (headers['content-type']?.startsWith('application/x-ndjson')) return 0
  if (headers['transfer-encoding'] !== undefined) return bodyLimitBytes
  return Math.min(Number(headers['content-length'] ?? 0) || 0, bodyLimitBytes)
}

export const registerRequestLife = (app: FastifyInstance, options: RequestLifeOptions) => {
  const signals = new WeakMap<FastifyRequest, AbortSignal>()
  let requests = 0
  let bodyBytes = 0
  let isDraining = false

  const deadlineOf = (config: { isStreamed?: boolean } | undefined): number =>
    config?.isStreamed === true ? options.streamTimeoutMs : options.requestTimeoutMs

  const count = (request: FastifyRequest, { raw: response }: FastifyReply): void => {
    const weight = weightOf(request, options.bodyLimitBytes)
    requests += 1
    bodyBytes += weight
    response.once('close', () => {
      requests -= 1
      bodyBytes -= weight
    })
  }

  /** One timer, cleared with the answer: a signal of `AbortSignal.timeout` would stay until its time is up. */
  const startDeadline = (request: FastifyRequest, { raw: response }: FastifyReply): void => {
    const controller = new AbortController()
    const timer = setTimeout(
      () => controller.abort(new DOMException('The deadline of the request has passed.', 'TimeoutError')),
      deadlineOf(request.routeOptions.config),
    )
    response.once('close', () => {
      clearTimeout(timer)
      if (!response.writableFinished) controller.abort()
    })
    signals.set(request, controller.signal)
  }

  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, isStreamed: isStreamed(route) }
    route.handlerTimeout = deadlineOf(route.config) + graceMs
  })

  app.addHook('onRequest', async (request, reply) => {
    count(request, reply)
    if (request.routeOptions.config.access?.kind === 'public') return
    if (isDraining) {
      void reply.header('Connection', 'close')
      throw draining()
    }
    if (requests > options.requestsInFlightMax || bodyBytes > options.bodyBytesInFlightMax) throw overloaded()
    startDeadline(request, reply)
  })

  return {
    signalOf: (request: FastifyRequest): AbortSignal => signals.get(request) ?? new AbortController().signal,
    inFlight: () => requests,
    startDraining: () => {
      isDraining = true
    },
    isDraining: () => isDraining,
  }
}

export type RequestLife = ReturnType<typeof registerRequestLife>
