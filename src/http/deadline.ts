/**
 * The deadline of each request, whoever asks: it begins when the headers have arrived, so the look-up of a key, the body and
 * the wait for a turn are parts of it. When it passes, the request's signal aborts. Work that does not heed the signal within
 * a grace goes on without an answer of its own: the client gets a 503, or the end of an answer that has begun.
 *
 * Fastify's `handlerTimeout` would not do: its timer ends with the body, though the handler has only begun then.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { brokenInvariant } from '../shared/errors.ts'

export type DeadlineOptions = { readonly requestTimeoutMs: number; readonly streamTimeoutMs: number }

const graceMs = 1_000

/** In place of the answer that does not come. */
const answerLate = (reply: FastifyReply, late: DOMException): void => {
  if (reply.sent) return
  if (reply.raw.headersSent) reply.raw.destroy()
  else void reply.send(late)
}

/** Answers how to read a request's signal. To be called before the hooks and routes that the deadline is to hold for. */
export const registerDeadlines = (
  app: FastifyInstance,
  { requestTimeoutMs, streamTimeoutMs }: DeadlineOptions,
): ((request: FastifyRequest) => AbortSignal) => {
  const signals = new WeakMap<FastifyRequest, AbortSignal>()

  /** One timer after the other, cleared with the answer: `AbortSignal.timeout` would stay until its time is up. */
  const start = (request: FastifyRequest, reply: FastifyReply): AbortSignal => {
    const { raw: response } = reply
    const controller = new AbortController()
    const { streams = 'never' } = request.routeOptions.config
    const pass = (): void => {
      const late = new DOMException('The deadline of the request has passed.', 'TimeoutError')
      timer = setTimeout(() => answerLate(reply, late), graceMs)
      controller.abort(late)
    }
    let timer = setTimeout(pass, streams === 'never' ? requestTimeoutMs : streamTimeoutMs)
    response.once('close', () => {
      clearTimeout(timer)
      if (!response.writableFinished) controller.abort()
    })
    return controller.signal
  }

  app.addHook('onRequest', async (request, reply) => {
    signals.set(request, start(request, reply))
  })

  return (request) => {
    const signal = signals.get(request)
    if (signal === undefined) throw brokenInvariant('A request was reached before its deadline began.')
    return signal
  }
}
