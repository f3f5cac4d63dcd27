/**
 * Reads a body piece by piece, no slower than the pace allows. The request stays open whatever happens, so that it can be
 * answered: who stops reading leaves the rest for `drain`.
 */
import type { IncomingMessage } from 'node:http'
import { bodyTooLarge, bodyTooSlow, clientGone, wrongLength } from './http-errors.ts'
import type { Pace } from './pace.ts'

/** How long a body may take: as its pace allows, and until the request's signal aborts. */
export type BodyTime = { readonly pace: Pace; readonly signal: AbortSignal }

/** The signal of a request aborts at its deadline, or because its client has gone. */
const lateOf = ({ reason }: AbortSignal) => (reason?.name === 'TimeoutError' ? bodyTooSlow() : clientGone())

/** Until there is something to read, or its end. */
const untilReadable = (raw: IncomingMessage, { pace, signal }: BodyTime): Promise<void> =>
  new Promise((resolve, reject) => {
    const settle = (act: () => void) => () => {
      for (const event of ['readable', 'end']) raw.off(event, onReadable)
      for (const event of ['error', 'close']) raw.off(event, onGone)
      signal.removeEventListener('abort', onLate)
      end(raw.readableLength)
      act()
    }
    const onReadable = settle(resolve)
    const onGone = settle(() => (raw.readableEnded ? resolve() : reject(clientGone())))
    const onLate = settle(() => reject(lateOf(signal)))
    const end = pace.wait(settle(() => reject(bodyTooSlow())))
    signal.addEventListener('abort', onLate, { once: true })
    for (const event of ['readable', 'end']) raw.on(event, onReadable)
    for (const event of ['error', 'close']) raw.on(event, onGone)
  })

/** @throws AppError `request.too_slow` (408), `request.aborted` */
export async function* piecesOf(raw: IncomingMessage, time: BodyTime): AsyncGenerator<Buffer> {
  for (;;) {
    const piece: Buffer | null = raw.read()
    if (piece !== null) yield piece
    else if (raw.readableEnded) return
    else if (raw.destroyed) throw clientGone()
    else if (time.signal.aborted) throw lateOf(time.signal)
    else await untilReadable(raw, time)
  }
}

/**
 * The whole body. `onPiece` is told of bytes that no header had announced.
 * @throws AppError `request.too_large` (413), `request.malformed`, as `piecesOf`, and what `onPiece` throws
 */
export const readWhole = async (
  raw: IncomingMessage,
  { limitBytes, onPiece, ...time }: BodyTime & { limitBytes: number; onPiece: (bytes: number) => void },
): Promise<Buffer> => {
  const announced = raw.headers['content-length']
  if (Number(announced ?? 0) > limitBytes) throw bodyTooLarge()
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of piecesOf(raw, time)) {
    size += piece.length
    if (size > limitBytes) throw bodyTooLarge()
    if (announced === undefined) onPiece(piece.length)
    pieces.push(piece)
  }
  if (announced !== undefined && Number(announced) !== size) throw wrongLength()
  return Buffer.concat(pieces, size)
}
