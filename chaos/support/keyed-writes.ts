/**
 * Writes with an Idempotency-Key by every door, which are told what came of them: answered, refused, or nothing heard. A
 * write that was not acknowledged is sent again with its key until it is, as a careful client does.
 */
import { type Answer, type Asked, textAt } from './door.ts'
import type { Random } from './random.ts'
import type { Tenant } from './service.ts'
import { createTally } from './tally.ts'
import { sleep } from './wait.ts'

export type Write = {
  readonly kind: string
  readonly asked: Asked
  /** What has to be there once afterwards. */
  readonly memories: readonly string[]
  readonly messages: readonly string[]
  readonly sessions: readonly string[]
}

export type Acknowledged = { readonly write: Write; readonly answer: Answer }

export const createBook = () => ({
  acknowledged: [] as Acknowledged[],
  /** Sent, and never acknowledged: there once, or not at all. */
  open: new Set<Write>(),
  refusals: createTally(),
  unanswered: 0,
  /** Refusals that a client should not get for this. */
  wrong: [] as string[],
  slowestMs: 0,
  slowestKind: '',
})

export type Book = ReturnType<typeof createBook>

type Place = { readonly agent: string; readonly session: string }

const kinds = ['add', 'batch', 'append', 'tool', 'tool_calls', 'import', 'create session'] as const

/** One write of a kind; every text in it is unique. */
export const makeWrite = (random: Random, { agent, session }: Place, kind = random.pick(kinds)): Write => {
  const text = () => `fact ${random.hex(16)} ${random.words(4)}`
  const headers = { 'idempotency-key': `once-${random.hex(24)}` }
  const nothing = { memories: [], messages: [], sessions: [] }
  const own = text()
  if (kind === 'batch' || kind === 'import') {
    const contents = Array.from({ length: 2 + random.below(6) }, text)
    const items = contents.map((content) => ({ content }))
    const path = `/v1/agents/${agent}/memories/${kind}`
    if (kind === 'batch')
      return { ...nothing, kind, memories: contents, asked: { path, headers, body: { memories: items } } }
    const body = items.map((item) => JSON.stringify(item)).join('\n')
    return {
      ...nothing,
      kind,
      memories: contents,
      asked: { path, headers: { ...headers, 'content-type': 'application/x-ndjson' }, body },
    }
  }
  if (kind === 'append') {
    const messages = Array.from({ length: 1 + random.below(3) }, text)
    const body = { messages: messages.map((content) => ({ role: 'user', content })) }
    return { ...nothing, kind, messages, asked: { path: `/v1/sessions/${session}/messages`, headers, body } }
  }
  if (kind === 'tool') {
    const path = `/v1/sessions/${session}/tools/add_memory`
    return { ...nothing, kind, memories: [own], asked: { path, headers, body: { content: own } } }
  }
  if (kind === 'tool_calls') {
    const call = { id: `call_${random.hex(12)}`, type: 'function' }
    const body = {
      tool_calls: [{ ...call, function: { name: 'Add_memory', arguments: JSON.stringify({ content: own }) } }],
    }
    return { ...nothing, kind, memories: [own], asked: { path: `/v1/sessions/${session}/tool_calls`, headers, body } }
  }
  if (kind === 'create session') {
    const sessionId = `made-${random.hex(16)}`
    const body = { agent_id: agent, session_id: sessionId }
    return { ...nothing, kind, sessions: [sessionId], asked: { path: '/v1/sessions', headers, body } }
  }
  return {
    ...nothing,
    kind,
    memories: [own],
    asked: { path: `/v1/agents/${agent}/memories`, headers, body: { content: own } },
  }
}

const isOk = ({ status }: Answer): boolean => status >= 200 && status < 300

/** A step that was not done though the answer is a 200. */
const innerProblem = ({ fields }: Answer): string => textAt(fields, 'calls.0.problem.code')

/** To be tried again: nothing heard, a 503 that says when, or a try of one's own that is still under way. */
export const isRetryable = ({ status, headers }: Answer): boolean =>
  status === 0 || status === 409 || ((status === 503 || status === 429) && headers['retry-after'] !== undefined)

const retryAfterMs = 150

type Sending = {
  readonly tenant: Tenant
  readonly book: Book
  readonly timeoutMs: number
  /** No try begins any more; what is open stays open. */
  isOver(): boolean
}

/** Sends until it is acknowledged. */
export const sendWell = async (write: Write, { tenant, book, timeoutMs, isOver }: Sending): Promise<void> => {
  book.open.add(write)
  while (!isOver()) {
    const answer = await tenant.ask({ timeoutMs, ...write.asked })
    if (answer.ms > book.slowestMs) {
      book.slowestMs = answer.ms
      book.slowestKind = write.kind
    }
    const problem = isOk(answer) ? innerProblem(answer) : textAt(answer.fields, 'code')
    if (isOk(answer) && problem === '') {
      book.open.delete(write)
      book.acknowledged.push({ write, answer })
      return
    }
    if (answer.status === 0) book.unanswered += 1
    else book.refusals.add(`${answer.status} ${problem}`)
    if (isOk(answer) || !isRetryable(answer)) {
      if (!isOk(answer)) book.wrong.push(`${write.kind}: ${answer.status} ${problem}`)
      return
    }
    await sleep(retryAfterMs)
  }
}
