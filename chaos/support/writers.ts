/** Keyed writers that go on until they are told to end, beside whatever is done to the service meanwhile. */
import type { Finding, Outcome } from '../scenario.ts'
import { checkReplays, countWrites, findingsOf, readStored } from './count-writes.ts'
import { type Book, createBook, makeWrite, sendWell } from './keyed-writes.ts'
import type { Random } from './random.ts'
import type { Tenant } from './service.ts'
import { someOf } from './tally.ts'
import { waitUntil } from './wait.ts'

export type Writers = {
  readonly book: Book
  /** Waits until more writes were acknowledged. @returns false when they were not in time */
  goOn(count: number, withinMs: number): Promise<boolean>
  /** Ends them, looks at what is there and tells. */
  settle(): Promise<Outcome>
}

export type WritersOptions = {
  readonly tenant: Tenant
  readonly random: Random
  readonly signal: AbortSignal
  readonly name: string
  readonly count?: number
  readonly timeoutMs?: number
}

export const startWriters = async (options: WritersOptions): Promise<Writers> => {
  const { tenant, random, signal, name, count = 6, timeoutMs = 40_000 } = options
  const places = [0, 1].map((at) => ({ agent: `${name}-${at}`, session: `${name}-${at}` }))
  for (const { agent, session } of places)
    await tenant.ask({ path: '/v1/sessions', body: { agent_id: agent, session_id: session } })
  const book = createBook()
  let isOver = false
  const sending = { tenant, book, timeoutMs, isOver: () => isOver || signal.aborted }
  const write = async (source: Random) => {
    while (!sending.isOver()) await sendWell(makeWrite(source, source.pick(places)), sending)
  }
  const writing = Promise.all(Array.from({ length: count }, () => write(random.fork())))

  const settle = async (): Promise<Outcome> => {
    isOver = true
    await writing
    const found = countWrites(book, await readStored(tenant, places))
    const replays = await checkReplays(tenant, book, random)
    const wrong: readonly Finding[] =
      book.wrong.length === 0
        ? []
        : [{ guarantee: 'honest answers', what: `refused for good: ${someOf(new Set(book.wrong))}` }]
    return {
      figures: [
        { what: 'acknowledged', value: String(book.acknowledged.length) },
        { what: 'never answered, tries', value: String(book.unanswered) },
        { what: 'refused, tries', value: String(book.refusals) },
        {
          what: 'lost, double, phantom',
          value: `${found.lost.length}, ${found.double.length}, ${found.phantom.length}`,
        },
        {
          what: 'sent again, with the same answer',
          value: `${replays.count - replays.findings.length} of ${replays.count}`,
        },
        { what: 'slowest answer', value: `${Math.round(book.slowestMs)} ms, ${book.slowestKind}` },
      ],
      findings: [...findingsOf(found), ...replays.findings, ...wrong],
    }
  }

  return {
    book,
    goOn: (more, withinMs) => {
      const wanted = book.acknowledged.length + more
      return waitUntil(() => book.acknowledged.length >= wanted, { withinMs })
    },
    settle,
  }
}
