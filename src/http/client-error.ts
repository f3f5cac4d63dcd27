/** Requests that Fastify never sees: HTTP that cannot be parsed, headers too long, bodies that never come, CONNECT. */
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { AppError } from '../shared/errors.ts'
import { createId } from '../shared/ids.ts'
import { headersTooLarge, malformedHttp, requestTimeout, routeNotFound } from './http-errors.ts'
import { problemBodyOf } from './problem.ts'

const lingerMs = 1_000

const toError = (code: string | undefined) => {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return requestTimeout()
  return code === 'HPE_HEADER_OVERFLOW' ? headersTooLarge() : malformedHttp()
}

/** Writes a problem as the last thing on the connection. */
const endWithProblem = (socket: Duplex, error: AppError): void => {
  const requestId = createId('req')
  const body = JSON.stringify(problemBodyOf(error, requestId))
  const head = [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${requestId}`,
    'Connection: close',
  ]
  if (!socket.writable) return void socket.destroy()
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  // A client that keeps its side open keeps the connection no longer than it takes to read the answer.
  setTimeout(() => socket.destroy(), lingerMs).unref()
}

/** A problem in the midst of another answer would be read as a part of it. */
export const createClientErrorHandler =
  (isAnswering: (socket: Socket) => boolean) =>
  ({ code }: { readonly code?: string }, socket: Socket): void => {
    if (code === 'ECONNRESET' || socket.destroyed) return
    if (isAnswering(socket)) socket.destroy()
    else endWithProblem(socket, toError(code))
  }

/** What Node.js would answer by itself, and without a problem document. */
export const registerOddRequests = (app: FastifyInstance): void => {
  app.server.on('connect', (_request, socket) => {
    socket.on('error', () => socket.destroy())
    endWithProblem(socket, routeNotFound())
  })
  // An expectation that is not known may be passed over (RFC 9110, section 10.1.1).
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
  // Node.js would ask for the body before anybody has looked at the path and the key.
  app.server.on('checkContinue', (request, response) => app.server.emit('request', request, response))
  app.addHook('onRequest', async ({ headers, raw }) => {
    if (raw.httpVersion === '1.1' && headers.host === undefined) throw malformedHttp()
  })
}
