/** Requests that end before there is a request: HTTP that cannot be parsed, headers too long, bodies that never come. */
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { CreateId } from '../shared/ids.ts'
import { headersTooLarge, malformedHttp, requestTimeout } from './http-errors.ts'
import { problemBodyOf } from './problem.ts'

const toError = (code: string | undefined) => {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return requestTimeout()
  return code === 'HPE_HEADER_OVERFLOW' ? headersTooLarge() : malformedHttp()
}

export const createClientErrorHandler =
  ({ createId }: { createId: CreateId }) =>
  (failure: { readonly code?: string }, socket: Socket): void => {
    if (failure.code === 'ECONNRESET' || socket.destroyed) return
    const error = toError(failure.code)
    const requestId = createId('req')
    const body = JSON.stringify(problemBodyOf(error, requestId))
    const head = [
      `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`,
      'Content-Type: application/problem+json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      `X-Request-Id: ${requestId}`,
      'Connection: close',
    ]
    if (socket.writable) socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
    else socket.destroy()
  }
