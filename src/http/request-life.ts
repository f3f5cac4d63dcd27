/** The life of a request: a bound on how many there are, a deadline for each, and an end when the service stops. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { draining, overloaded } from './http-errors.ts'

export type RequestLifeOptions = {
  readonly requestsInFlightMax: number
  readonly requestTimeoutMs: number
  readonly streamTimeoutMs: number
}

export const registerRequestLife = (app: FastifyInstance, options: RequestLifeOptions) => {
  const signals = new WeakMap<FastifyRequest, AbortSignal>()
  let inFlight = 0
  let isDraining = false

  const isStreamed = ({ url = '' }: { readonly url?: string | undefined }) => /\/(import|export)$/.test(url)

  app.addHook('onRequest', async (request, reply) => {
    inFlight += 1
    reply.raw.once('close', () => {
      inFlight -= 1
    })
    const access = request.routeOptions.config.access
    if (access?.kind === 'public') return
    if (isDraining) {
      void reply.header('Connection', 'close')
      throw draining()
    }
    if (inFlight > options.requestsInFlightMax) throw overloaded()
    const gone = new AbortController()
    reply.raw.once('close', () => {
      if (!reply.raw.writableFinished) gone.abort()
    })
    const deadlineMs = isStreamed(request.routeOptions) ? options.streamTimeoutMs : options.requestTimeoutMs
    signals.set(request, AbortSignal.any([gone.signal, AbortSignal.timeout(deadlineMs)]))
  })

  return {
    signalOf: (request: FastifyRequest): AbortSignal => signals.get(request) ?? new AbortController().signal,
    inFlight: () => inFlight,
    startDraining: () => {
      isDraining = true
    },
    isDraining: () => isDraining,
  }
}

export type RequestLife = ReturnType<typeof registerRequestLife>
