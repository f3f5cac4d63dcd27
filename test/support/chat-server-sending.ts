/** How the stand-in sends its answers and its faults. */
import type { ServerResponse } from 'node:http'
import { setImmediate as breathe } from 'node:timers/promises'
import type { FastifyReply } from 'fastify'
import { type ChatFault, distort, errorBody } from './chat-server-faults.ts'

const hungUp = new WeakSet<ServerResponse>()

/** Closes the connection from this side. */
export const hangUp = (response: ServerResponse): void => {
  hungUp.add(response)
  response.destroy()
}

/** True for a closed response that the other side did not let come to its end. */
export const wasAborted = (response: ServerResponse): boolean => !response.writableEnded && !hungUp.has(response)

/** False when nothing more is to be sent. */
const sendHalf = (response: ServerResponse, fault: ChatFault | null): boolean => {
  if (fault === 'close-early') hangUp(response)
  if (fault === 'not-json') response.write('data: {"id": \n\n')
  if (fault === 'error-in-stream') response.write(`data: ${JSON.stringify(errorBody(500, 'engine died'))}\n\n`)
  return fault !== 'close-early' && fault !== 'stall-middle'
}

export const sendEvents = async (
  reply: FastifyReply,
  chunks: readonly object[],
  fault: ChatFault | null,
): Promise<void> => {
  const response = reply.hijack().raw
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' }).flushHeaders()
  if (fault === 'stall-first') return
  for (const [place, chunk] of chunks.entries()) {
    if (response.destroyed || (place === Math.ceil(chunks.length / 2) && !sendHalf(response, fault))) return
    response.write(`data: ${JSON.stringify(distort(fault, chunk as Record<string, unknown>))}\n\n`)
    await breathe()
  }
  if (fault !== 'no-done') response.write('data: [DONE]\n\n')
  response.end()
}

export const sendWhole = (reply: FastifyReply, body: object, fault: ChatFault | null): void => {
  if (fault === 'stall-first' || fault === 'stall-middle') reply.hijack()
  else if (fault === 'close-early') {
    const response = reply.hijack().raw
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '999' })
    response.write('{', () => hangUp(response))
  } else if (fault === 'not-json') reply.type('application/json').send('{"id": ')
  else reply.send(distort(fault, body as Record<string, unknown>))
}
