/**
 * The life of a request: a place among those of whoever asks, a deadline, and an end when the service stops. What is above a
 * bound is refused before any work is done, so the service sheds load and does not collapse. A request of tenants takes no
 * place before its key was found good.
 *
 * Of what has a place some are at work and the rest waits: tenants take turns, so that one with a hundred requests under way
 * leaves the event loop and the database to others after a few of them.
 */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { createFairSlots } from '../shared/fair-slots.ts'
import { type DeadlineOptions, registerDeadlines } from './deadline.ts'
import { clientGone } from './http-errors.ts'
import { draining, overloaded } from './load-errors.ts'
import { ndjson } from './media-types.ts'
import { createPlaces, type Kind, kinds, type Owner, type Places, type PlacesOptions } from './places.ts'
import { isStream, watchStreamedRoutes } from './streamed-route.ts'

export type RequestLifeOptions = DeadlineOptions &
  PlacesOptions & {
    readonly requestsAtWorkMax: number
    readonly requestsAtWorkPerTenantMax: number
    readonly bodyLimitBytes: number
  }

/** Bytes that a body may take in memory, as far as its headers say; an import may take as many as the largest body. */
const weightOf = ({ headers, method }: FastifyRequest, bodyLimitBytes: number): number => {
  if (method === 'GET' || method === 'HEAD') return 0
  if (headers['content-type']?.startsWith(ndjson)) return bodyLimitBytes
  return Math.min(Number(headers['content-length'] ?? 0) || 0, bodyLimitBytes)
}

/** What takes as long as a stream or a model does would keep its tenant's other requests waiting. */
const hasNoTurn = (request: FastifyRequest): boolean => {
  const { access, streams } = request.routeOptions.config
  return streams === 'always' || (access?.kind === 'tenant' && access.scope === 'policy:run')
}

type Take = (kind: Kind, weight: number) => void

type Life = { readonly owner: Owner; readonly take: Take }

/** What is taken is given back with the answer; who has gone takes nothing. @throws as `Places.take` */
const takerOf = (places: Places, owner: Owner, response: FastifyReply['raw']): Take => {
  const taken: Record<Kind, number> = { requests: 0, bodyBytes: 0, streams: 0 }
  response.once('close', () => {
    for (const kind of kinds) places.giveBack(owner, kind, taken[kind])
  })
  return (kind, weight) => {
    if (response.destroyed) throw clientGone()
    places.take(owner, kind, weight)
    taken[kind] += weight
  }
}

const createTurns = (options: RequestLifeOptions, isAlone: (tenantId: string) => boolean) => {
  const { requestsAtWorkMax: atWorkMax, requestsAtWorkPerTenantMax: ownAtWorkMax } = options
  return createFairSlots({
    runningMax: atWorkMax,
    runningPerTenantMax: (tenantId) =>
      isAlone(tenantId) ? Math.max(ownAtWorkMax, atWorkMax - ownAtWorkMax) : ownAtWorkMax,
    waitingMax: options.requestsInFlightMax,
    turnedAway: overloaded,
  })
}

export const registerRequestLife = (app: FastifyInstance, options: RequestLifeOptions) => {
  watchStreamedRoutes(app)
  const signalOf = registerDeadlines(app, options)
  const lives = new WeakMap<FastifyRequest, Life>()
  const places = createPlaces(options)
  const turns = createTurns(options, places.isAlone)
  let isDraining = false

  app.addHook('preHandler', async (request, reply) => {
    const life = lives.get(request)
    if (life === undefined) return
    if (isStream(request)) life.take('streams', 1)
    if (life.owner.kind !== 'tenant' || hasNoTurn(request)) return
    const leave = await turns.enter(life.owner.name, signalOf(request))
    if (reply.raw.destroyed) leave()
    else reply.raw.once('close', leave)
  })

  return {
    /** Aborts at the request's deadline, and when its client has gone. */
    signalOf,
    /**
     * A place for a request, until it is answered.
     * @throws as `Places.take`
     */
    begin: (request: FastifyRequest, reply: FastifyReply, owner: Owner): void => {
      // Who had gone while its key was looked up takes no place that nothing would give back.
      if (reply.raw.destroyed) throw clientGone()
      const take = takerOf(places, owner, reply.raw)
      places.note(owner)
      take('requests', 1)
      take('bodyBytes', weightOf(request, options.bodyLimitBytes))
      lives.set(request, { owner, take })
    },
    /** Bytes of a body that its headers had not announced. @throws as `begin` */
    takeBody: (request: FastifyRequest, bytes: number): void => lives.get(request)?.take('bodyBytes', bytes),
    /** @throws AppError `server.draining` (503) */
    ensureTakes: (reply: FastifyReply): void => {
      if (!isDraining) return
      void reply.header('Connection', 'close')
      throw draining()
    },
    inFlight: places.inFlight,
    /** No other tenant has come for a while. */
    isAlone: places.isAlone,
    startDraining: () => {
      isDraining = true
    },
    isDraining: () => isDraining,
  }
}

export type RequestLife = ReturnType<typeof registerRequestLife>
