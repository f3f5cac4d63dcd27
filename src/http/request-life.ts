/**
 * The life of a request whose key is good: a place among its tenant's and among all, a deadline, and an end when the
 * service stops. What is above a bound is refused before any work is done, so the service sheds load and does not
 * collapse. A request takes no place before its key was found good; those of the operator have places of their own.
 *
 * Of what has a place some are at work and the rest waits: tenants take turns, so that one with a hundred requests under way
 * leaves the event loop and the database to others after a few of them.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { systemClock } from '../shared/clock.ts'
import type { AppError } from '../shared/errors.ts'
import { createFairSlots } from '../shared/fair-slots.ts'
import {
  clientGone,
  draining,
  overloaded,
  tenantBodyBytesInFlight,
  tenantRequestsInFlight,
  tenantStreamsInFlight,
} from './http-errors.ts'
import { createCompany, createShare, type Share } from './shares.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Takes or gives a stream, and so has longer. Follows from the route's schema. */
    isStreamed?: boolean
  }
}

export type RequestLifeOptions = {
  readonly requestsInFlightMax: number
  readonly requestsInFlightPerTenantMax: number
  readonly bodyBytesInFlightMax: number
  readonly bodyBytesInFlightPerTenantMax: number
  readonly streamsInFlightMax: number
  readonly streamsInFlightPerTenantMax: number
  readonly requestsAtWorkMax: number
  readonly requestsAtWorkPerTenantMax: number
  readonly bodyLimitBytes: number
  readonly requestTimeoutMs: number
  readonly streamTimeoutMs: number
}

/** From the signal to the answer that is given in place of a handler that does not heed it. */
const graceMs = 1_000
/** A tenant is alone when no other has come for so long. */
const aloneMs = 60_000
const operator = 'operator'
const ndjson = 'application/x-ndjson'
const events = 'text/event-stream'

const streamedTypesOf = ({ schema }: Pick<RouteOptions, 'schema'>): string => {
  const { body, response } = (schema ?? {}) as { body?: unknown; response?: Record<string, unknown> }
  return JSON.stringify([body, response?.['200']])
}

const isStreamed = (route: Pick<RouteOptions, 'schema'>): boolean => {
  const types = streamedTypesOf(route)
  return types.includes(ndjson) || types.includes(events)
}

/** Of a route that answers either way, only a request that asks for events is a stream. */
const isStream = ({ routeOptions, headers }: FastifyRequest): boolean => {
  const types = streamedTypesOf(routeOptions)
  return types.includes(ndjson) || (types.includes(events) && headers.accept?.includes(events) === true)
}

/** Bytes that a body may take in memory, as far as its headers say; an import may take as many as the largest body. */
const weightOf = ({ headers, method }: FastifyRequest, bodyLimitBytes: number): number => {
  if (method === 'GET' || method === 'HEAD') return 0
  if (headers['content-type']?.startsWith(ndjson)) return bodyLimitBytes
  return Math.min(Number(headers['content-length'] ?? 0) || 0, bodyLimitBytes)
}

/** What takes as long as a stream or a model does would keep its tenant's other requests waiting. */
const hasNoTurn = (request: FastifyRequest): boolean => {
  const { access } = request.routeOptions.config
  if (access?.kind === 'tenant' && access.scope === 'policy:run') return true
  return streamedTypesOf(request.routeOptions).includes(ndjson) || (request.method === 'GET' && isStream(request))
}

type Take = (kind: Kind, weight: number) => void

/** Of whom; null: of the operator. */
type Life = { readonly tenantId: string | null; readonly signal: AbortSignal; readonly take: Take }

type Shares = { readonly requests: Share; readonly bodyBytes: Share; readonly streams: Share }
type Kind = keyof Shares
const kinds: readonly Kind[] = ['requests', 'bodyBytes', 'streams']

const ownBounds: Readonly<Record<Kind, () => AppError>> = {
  requests: tenantRequestsInFlight,
  bodyBytes: tenantBodyBytesInFlight,
  streams: tenantStreamsInFlight,
}

const createShares = (options: RequestLifeOptions) => {
  const company = createCompany({ monotonicMs: systemClock.monotonicMs, aloneMs })
  const bounds = {
    requests: { wholeMax: options.requestsInFlightMax, perTenantMax: options.requestsInFlightPerTenantMax },
    bodyBytes: { wholeMax: options.bodyBytesInFlightMax, perTenantMax: options.bodyBytesInFlightPerTenantMax },
    streams: { wholeMax: options.streamsInFlightMax, perTenantMax: options.streamsInFlightPerTenantMax },
  }
  const shareOf = (kind: Kind) => createShare(bounds[kind], company.isAlone)
  const tenants: Shares = {
    requests: shareOf('requests'),
    bodyBytes: shareOf('bodyBytes'),
    streams: shareOf('streams'),
  }
  /** As much as a tenant has, beside what the tenants have. */
  const ownShareOf = (kind: Kind) => createShare({ ...bounds[kind], wholeMax: bounds[kind].perTenantMax })
  const operators: Shares = {
    requests: ownShareOf('requests'),
    bodyBytes: ownShareOf('bodyBytes'),
    streams: ownShareOf('streams'),
  }
  const { requestsAtWorkMax: atWorkMax, requestsAtWorkPerTenantMax: ownAtWorkMax } = options
  const turns = createFairSlots({
    runningMax: atWorkMax,
    runningPerTenantMax: (tenantId) =>
      company.isAlone(tenantId) ? Math.max(ownAtWorkMax, atWorkMax - ownAtWorkMax) : ownAtWorkMax,
    waitingMax: options.requestsInFlightMax,
    turnedAway: overloaded,
  })
  return { company, tenants, operators, turns }
}

export const registerRequestLife = (app: FastifyInstance, options: RequestLifeOptions) => {
  const lives = new WeakMap<FastifyRequest, Life>()
  const { company, tenants, operators, turns } = createShares(options)
  let isDraining = false

  /** What is taken is given back with the answer. @throws AppError `quota.*_in_flight` (429), `server.overloaded` (503) */
  const takerOf = (owner: string, response: FastifyReply['raw']): Take => {
    const shares = owner === operator ? operators : tenants
    const taken: Record<Kind, number> = { requests: 0, bodyBytes: 0, streams: 0 }
    response.once('close', () => {
      for (const kind of kinds) shares[kind].giveBack(owner, taken[kind])
    })
    return (kind, weight) => {
      const taking = shares[kind].take(owner, weight)
      if (taking === 'own bound') throw ownBounds[kind]()
      if (taking === 'whole bound') throw overloaded()
      taken[kind] += weight
    }
  }

  const deadlineOf = (config: { isStreamed?: boolean } | undefined): number =>
    config?.isStreamed === true ? options.streamTimeoutMs : options.requestTimeoutMs

  /** One timer, cleared with the answer: a signal of `AbortSignal.timeout` would stay until its time is up. */
  const startDeadline = (request: FastifyRequest, { raw: response }: FastifyReply): AbortSignal => {
    const controller = new AbortController()
    const timer = setTimeout(
      () => controller.abort(new DOMException('The deadline of the request has passed.', 'TimeoutError')),
      deadlineOf(request.routeOptions.config),
    )
    response.once('close', () => {
      clearTimeout(timer)
      if (!response.writableFinished) controller.abort()
    })
    return controller.signal
  }

  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, isStreamed: isStreamed(route) }
    route.handlerTimeout = deadlineOf(route.config) + graceMs
  })

  app.addHook('preHandler', async (request, reply) => {
    const { tenantId = null, signal } = lives.get(request) ?? {}
    if (tenantId === null || hasNoTurn(request)) return
    const leave = await turns.enter(tenantId, signal)
    if (reply.raw.destroyed) leave()
    else reply.raw.once('close', leave)
  })

  return {
    /**
     * A place for a request with a good key, until it is answered. `owner`: its tenant, or null for the operator.
     * @throws AppError `quota.*_in_flight` (429), `server.overloaded` (503)
     */
    begin: (request: FastifyRequest, reply: FastifyReply, owner: string | null): AbortSignal => {
      // Who had gone while its key was looked up takes no place that nothing would give back.
      if (reply.raw.destroyed) throw clientGone()
      const take = takerOf(owner ?? operator, reply.raw)
      if (owner !== null) company.note(owner)
      take('requests', 1)
      take('bodyBytes', weightOf(request, options.bodyLimitBytes))
      if (isStream(request)) take('streams', 1)
      const signal = startDeadline(request, reply)
      lives.set(request, { tenantId: owner, signal, take })
      return signal
    },
    /** Bytes of a body that its headers had not announced. @throws as `begin` */
    takeBody: (request: FastifyRequest, bytes: number): void => lives.get(request)?.take('bodyBytes', bytes),
    /** @throws AppError `server.draining` (503) */
    ensureTakes: (reply: FastifyReply): void => {
      if (!isDraining) return
      void reply.header('Connection', 'close')
      throw draining()
    },
    inFlight: () => tenants.requests.held() + operators.requests.held(),
    startDraining: () => {
      isDraining = true
    },
    isDraining: () => isDraining,
  }
}

export type RequestLife = ReturnType<typeof registerRequestLife>
