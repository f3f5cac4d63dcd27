/** Which requests take or give a stream: told once from a route's schema and, where that answers either way, from the request. */

import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import { brokenInvariant } from '../shared/errors.ts'
import { eventStream, ndjson } from './media-types.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Of a route that can answer with events: does this request ask for them? Called once the body is read. */
    asksForEvents?: (request: FastifyRequest) => boolean
    /** Follows from the route's schema; a request of a route that can stream has longer. */
    streams?: 'always' | 'when asked' | 'never'
  }
}

const streamsOf = ({ schema, config, url }: RouteOptions): 'always' | 'when asked' | 'never' => {
  const { body, response } = (schema ?? {}) as { body?: unknown; response?: Record<string, unknown> }
  const types = JSON.stringify([body, response?.['200']])
  if (types.includes(ndjson)) return 'always'
  if (!types.includes(eventStream)) return 'never'
  if (config?.asksForEvents === undefined) throw brokenInvariant(`${url} does not say which requests ask for events.`)
  return 'when asked'
}

/** To be called before the routes. */
export const watchStreamedRoutes = (app: FastifyInstance): void => {
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, streams: streamsOf(route) }
  })
}

/** To be asked once the body is read. */
export const isStream = (request: FastifyRequest): boolean => {
  const { streams, asksForEvents } = request.routeOptions.config
  return streams === 'always' || (streams === 'when asked' && asksForEvents?.(request) === true)
}
