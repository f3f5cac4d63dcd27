/** Bytes to the service and back, as no HTTP client would send them. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export type RawConnection = {
  readonly socket: Socket
  write(text: string | Buffer): void
  /** What has come back so far. */
  received(): string
  /** Everything that comes back until the service closes the connection; whether that was a reset. */
  readonly closed: Promise<{ readonly answer: string; readonly isReset: boolean }>
}

export const openRaw = async (port: number): Promise<RawConnection> => {
  const socket = connect(port, '127.0.0.1')
  const pieces: Buffer[] = []
  let isReset = false
  socket.on('data', (piece) => pieces.push(piece))
  socket.on('error', () => {
    isReset = true
  })
  const received = () => Buffer.concat(pieces).toString()
  const closed = new Promise<{ answer: string; isReset: boolean }>((resolve) => {
    socket.once('close', () => resolve({ answer: received(), isReset }))
  })
  await Promise.race([once(socket, 'connect'), closed])
  return { socket, received, closed, write: (text) => void socket.write(text) }
}

export const problemOf = (
  answer: string,
): { readonly head: string; readonly status: number; readonly code: string } => {
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  return { head, status: Number(head.split(' ')[1]), code: String(JSON.parse(body).code) }
}
