/** Answers that never end, as fast as they are taken or a byte at a time, plain or packed. Ends when the client leaves. */
import type { ServerResponse } from 'node:http'
import { setInterval } from 'node:timers'
import { createGzip } from 'node:zlib'

export type EndlessForm = {
  readonly status?: number
  readonly contentType?: string
  /** Comes first. */
  readonly head?: string
  /** Comes again and again. */
  readonly piece: string
  readonly isPacked?: boolean
}

const chunkBytes = 65_536

/** Sends until the client leaves; tells how many bytes went out. */
export const sendEndless = (
  response: ServerResponse,
  { status = 200, contentType = 'application/json', head = '', piece, isPacked = false }: EndlessForm,
  onBytes: (bytes: number) => void = () => {},
): void => {
  const chunk = Buffer.from(piece.repeat(Math.ceil(chunkBytes / piece.length)))
  response.writeHead(status, { 'content-type': contentType, ...(isPacked ? { 'content-encoding': 'gzip' } : {}) })
  const packer = createGzip()
  const sink = isPacked ? packer : response
  if (isPacked) packer.pipe(response)
  let isOpen = true
  response.on('close', () => {
    isOpen = false
    packer.destroy()
  })
  response.on('error', () => {})
  packer.on('error', () => {})
  const send = (): void => {
    if (!isOpen) return
    onBytes(chunk.length)
    sink.write(chunk, () => setImmediate(send))
  }
  sink.write(head, send)
}

/** Headers at once, then a byte now and then. */
export const sendTrickle = (response: ServerResponse, contentType = 'application/json'): void => {
  response.writeHead(200, { 'content-type': contentType })
  const timer = setInterval(() => response.write(' '), 20)
  response.on('close', () => clearInterval(timer))
}
