/**
 * An answer to a request whose body is still on its way. Closing at once would reset the connection, and the client would
 * lose the answer with it. So the answer goes out first, whole; then what the client still sends is read and dropped
 * within small bounds, and the connection is closed.
 */
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

const idleMs = 500
const totalMs = 5_000
const bytesMax = 16_777_216

/** A request without a socket of its own, as tests inject it, does not say. */
export const isStillArriving = ({ complete, headers }: IncomingMessage): boolean =>
  complete === false && (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0)

/** Resolves when the body has ended, the client is silent or gone, or the bounds are reached. */
export const drain = (raw: IncomingMessage): Promise<void> =>
  new Promise((resolve) => {
    let bytes = 0
    const end = (): void => {
      clearTimeout(total)
      clearTimeout(idle)
      raw.off('data', onData)
      for (const event of ['end', 'error', 'close']) raw.off(event, end)
      raw.pause()
      resolve()
    }
    const onData = (piece: Buffer): void => {
      bytes += piece.length
      idle.refresh()
      if (bytes > bytesMax) end()
    }
    const idle = setTimeout(end, idleMs)
    const total = setTimeout(end, totalMs)
    if (raw.destroyed || raw.readableEnded) return end()
    for (const event of ['end', 'error', 'close']) raw.on(event, end)
    raw.on('data', onData)
    raw.resume()
  })

export const sentThenDrained = (payload: string | Buffer, raw: IncomingMessage): Readable => {
  async function* parts() {
    yield Buffer.from(payload)
    await drain(raw)
  }
  return Readable.from(parts(), { objectMode: false })
}
