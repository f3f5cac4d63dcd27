/**
 * Server-sent events (HTML Living Standard, section 9.2): each with an id to go on from after a broken connection, and a
 * comment now and then so that idle connections are not cut. What the client does not take waits in the generator.
 */
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'

export type ServerSentEvent = { readonly id: string; readonly type: string; readonly data: unknown }

const heartbeat = ': still here\n\n'

const textOf = ({ id, type, data }: ServerSentEvent): string =>
  `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`

async function* texts(events: AsyncIterable<ServerSentEvent | null>): AsyncGenerator<string> {
  for await (const event of events) yield event === null ? heartbeat : textOf(event)
}

export const wantsEvents = ({ headers }: FastifyRequest): boolean =>
  headers.accept?.includes('text/event-stream') === true

async function* plainTexts(data: AsyncIterable<string | null>): AsyncGenerator<string> {
  for await (const one of data) yield one === null ? heartbeat : `data: ${one}\n\n`
}

const sendTexts = (reply: FastifyReply, texts: AsyncIterable<string>): FastifyReply =>
  reply
    .type('text/event-stream; charset=utf-8')
    .header('Cache-Control', 'no-store')
    .header('X-Accel-Buffering', 'no')
    .send(Readable.from(texts))

/** Null in `events` is a heartbeat. The iteration is ended when the client goes away. */
export const sendEvents = (reply: FastifyReply, events: AsyncIterable<ServerSentEvent | null>): FastifyReply =>
  sendTexts(reply, texts(events))

/** Events of data alone, without id and name. Null is a heartbeat. */
export const sendData = (reply: FastifyReply, data: AsyncIterable<string | null>): FastifyReply =>
  sendTexts(reply, plainTexts(data))
