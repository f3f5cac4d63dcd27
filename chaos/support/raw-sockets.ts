/** Connections below HTTP: requests that begin and do not go on, and answers that nobody reads. */
import { connect, type Socket } from 'node:net'
import type { Lab } from './lab.ts'

export type RawSockets = {
  /** Opens one, sends the text and leaves it so. */
  open(text: string): Socket
  /** Sends a piece on each that is still open. */
  feed(piece: string): void
  /** How many the service has not closed. */
  openCount(): number
  openedCount(): number
  closeAll(): void
}

export const createRawSockets = (lab: Lab, url: string): RawSockets => {
  const { hostname, port } = new URL(url)
  const sockets = new Set<Socket>()
  let opened = 0
  const closeAll = () => {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }
  lab.defer(closeAll)
  return {
    open: (text) => {
      opened += 1
      const socket = connect({ host: hostname, port: Number(port) })
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.once('close', () => sockets.delete(socket))
      socket.resume()
      socket.write(text)
      return socket
    },
    feed: (piece) => {
      for (const socket of sockets) if (socket.writable) socket.write(piece)
    },
    openCount: () => sockets.size,
    openedCount: () => opened,
    closeAll,
  }
}

export type Head = {
  readonly method?: string
  readonly path: string
  readonly key?: string | null
  readonly headers?: Readonly<Record<string, string>>
}

/** The head of a request, with the blank line after it. */
export const headOf = ({ method = 'POST', path, key = null, headers = {} }: Head): string =>
  [
    `${method} ${path} HTTP/1.1`,
    'host: chaos',
    ...(key === null ? [] : [`authorization: Bearer ${key}`]),
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    '\r\n',
  ].join('\r\n')
