/**
 * Exports: lines of JSON (NDJSON), a page in memory at a time. Reading a page and writing it as text is a turn, and a tenant
 * has one turn at a time, however many exports it has begun: dozens of them take as much of the database and the event
 * loop as one. Beside others a tenant rests as long as a page took, so that they find both free half of the time. The next
 * page is read when the client has taken the last, so an export that nobody reads holds a page and no turn.
 */
import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import type { Caller } from '../shared/caller.ts'
import { createFairSlots } from '../shared/fair-slots.ts'
import { isLargeJson, jsonSteps } from '../shared/json-steps.ts'
import { createPauses, inSlices } from '../shared/yielding.ts'
import { overloaded } from './load-errors.ts'
import { ndjson } from './media-types.ts'

const turnsMax = 4
const restMaxMs = 50
const pieceCharsMax = 65_536

export type ExportOf<Item> = {
  readonly caller: Caller
  readonly pages: AsyncGenerator<readonly Item[]>
  readonly toBody: (item: Item) => object
}

export type Exports = {
  /** The lines in pieces of 64 KiB or a line. @throws what `pages` throws, and when the caller's key is good no more */
  readText<Item>(exported: ExportOf<Item>): AsyncGenerator<string>
  send<Item>(reply: FastifyReply, exported: ExportOf<Item>): FastifyReply
}

const textOf = async (body: object, signal: AbortSignal): Promise<string> =>
  isLargeJson(body) ? (await inSlices(jsonSteps(body), signal)).join('') : JSON.stringify(body)

const toPieces = async <Item>(
  page: readonly Item[],
  { caller, toBody }: Pick<ExportOf<Item>, 'caller' | 'toBody'>,
): Promise<readonly string[]> => {
  const { pause } = createPauses(caller.signal)
  const pieces: string[] = []
  let piece = ''
  for (const item of page) {
    piece += `${await textOf(toBody(item), caller.signal)}\n`
    if (piece.length >= pieceCharsMax) {
      pieces.push(piece)
      piece = ''
    }
    await pause()
  }
  return piece === '' ? pieces : [...pieces, piece]
}

export const createExports = ({ isAlone }: { readonly isAlone: (tenantId: string) => boolean }): Exports => {
  /** Who waits has a place among the streams in flight. */
  const turns = createFairSlots({
    ...{ runningMax: turnsMax, runningPerTenantMax: 1, waitingMax: Number.POSITIVE_INFINITY },
    turnedAway: overloaded,
  })

  async function* readText<Item>({ caller, pages, toBody }: ExportOf<Item>): AsyncGenerator<string> {
    const readPage = async (): Promise<readonly string[] | null> => {
      const leave = await turns.enter(caller.tenantId, caller.signal)
      const startedMs = performance.now()
      try {
        const { done, value } = await pages.next()
        if (done === true) return null
        await caller.ensureLive?.()
        return await toPieces(value, { caller, toBody })
      } finally {
        if (isAlone(caller.tenantId)) leave()
        else setTimeout(leave, Math.min(restMaxMs, performance.now() - startedMs))
      }
    }
    try {
      for (;;) {
        const pieces = await readPage()
        if (pieces === null) return
        yield* pieces
      }
    } finally {
      await pages.return(undefined)
    }
  }

  return {
    readText,
    send: (reply, exported) => reply.type(ndjson).send(Readable.from(readText(exported))),
  }
}
