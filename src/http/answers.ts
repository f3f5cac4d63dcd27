/**
 * How answers leave: no slower than the pace allows, in pieces, so that one which nobody reads is ended and its place and
 * memory are free; and, where the body of the request is still on its way, before that is drained.
 */
import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { Clock } from '../shared/clock.ts'
import { isStillArriving, sentThenDrained } from './drain.ts'
import { createPace, type PaceOptions } from './pace.ts'

const pieceBytesMax = 65_536

function* piecesOf(chunk: string | Uint8Array): Generator<Uint8Array> {
  const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
  for (let at = 0; at < bytes.length; at += pieceBytesMax) yield bytes.subarray(at, at + pieceBytesMax)
}

const isReadable = (payload: unknown): payload is Readable =>
  typeof (payload as { pipe?: unknown } | null)?.pipe === 'function'

const isWhole = (payload: unknown): payload is string | Buffer =>
  typeof payload === 'string' || Buffer.isBuffer(payload)

export const registerAnswers = (app: FastifyInstance, { clock, ...options }: PaceOptions & { clock: Clock }): void => {
  async function* paced(payload: Readable, response: ServerResponse): AsyncGenerator<Uint8Array> {
    const pace = createPace(options, { clock })
    try {
      for await (const chunk of payload)
        for (const piece of piecesOf(chunk)) {
          const end = pace.wait(() => response.destroy())
          try {
            yield piece
          } finally {
            end(piece.length)
          }
        }
    } catch (error) {
      // Nobody is there who could be told, and what made the stream was ended for that.
      if (!response.destroyed) throw error
    }
  }

  const watch = (response: ServerResponse, bytes: number): void => {
    const end = createPace(options, { clock, bytes }).wait(() => response.destroy())
    response.once('close', () => end(0))
  }

  app.addHook('onSend', async (request, reply, payload) => {
    const { raw: response } = reply
    if (isReadable(payload)) {
      if (request.method !== 'HEAD') return Readable.from(paced(payload, response), { objectMode: false })
      // What a GET would stream is not even begun.
      payload.destroy()
      return Readable.from([])
    }
    const bytes = isWhole(payload) ? Buffer.byteLength(payload) : 0
    watch(response, bytes)
    if (!isStillArriving(request.raw)) return payload
    void reply.header('Connection', 'close')
    if (!isWhole(payload) || request.method === 'HEAD') return payload
    void reply.header('Content-Length', bytes)
    return sentThenDrained(payload, request.raw)
  })
}
