/**
 * Requests to the public HTTP API, for the project's own commands. Every request has a deadline and stops when its
 * signal aborts. A request that the service turned away for now (429, 503, or 409 for a key in flight, each with
 * Retry-After) or that never reached it is sent again, a few times; writes carry an Idempotency-Key that stays the same
 * over the attempts, so none takes effect twice. A problem document becomes an `HttpProblem` that reads as a sentence.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

/** The service's answer was an error. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem'
  readonly status: number
  /** `memory.not_found`; empty when the answer was no problem document. */
  readonly code: string

  constructor(message: string, { status, code }: { status: number; code: string }) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** No answer came: the address is wrong, the service is down, or the deadline passed. */
export class HttpUnreachable extends Error {
  override readonly name = 'HttpUnreachable'
}

export type HttpClientOptions = {
  /** `http://127.0.0.1:8080` */
  readonly baseUrl: string
  readonly key: string
  /** Ends every request of this client. */
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
  readonly attemptsMax?: number
  /** Resolves after `ms`, or throws when the signal aborts. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>
  /** Monotonic milliseconds. */
  readonly nowMs?: () => number
}

export type RequestOptions = {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

export type HttpAnswer<T> = {
  readonly body: T
  readonly status: number
  readonly headers: Headers
  /** From sending the attempt that was answered to having read its body. */
  readonly elapsedMs: number
}

const retryAfterMaxMs = 60_000
const reconnectMs = 250

/** Milliseconds to wait by a Retry-After header, seconds or a date; null without a usable one. */
export const retryAfterMs = (header: string | null, nowMs: number): number | null => {
  if (header === null) return null
  const seconds = Number(header)
  const waitMs = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - nowMs
  return Number.isNaN(waitMs) ? null : Math.max(0, waitMs)
}

type ProblemBody = {
  readonly code?: string
  readonly title?: string
  readonly detail?: string
  readonly request_id?: string
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[]
}

const parseBody = (text: string): unknown => {
  try {
    return text === '' ? null : JSON.parse(text)
  } catch {
    return text
  }
}

/** `POST /v1/sessions: 422 request.invalid: … (/agent_id must be …) [req_…]` */
export const problemMessage = (request: string, status: number, body: unknown): string => {
  if (typeof body !== 'object' || body === null)
    return `${request}: ${status} ${String(body ?? '').slice(0, 200)}`.trim()
  const { code, title, detail, request_id: requestId, errors = [] } = body as ProblemBody
  const fields = errors.slice(0, 3).map((error) => `${error.pointer || 'body'} ${error.detail}`)
  const shown = fields.length === 0 ? '' : ` (${fields.join('; ')})`
  return `${request}: ${status} ${code ?? ''}: ${detail ?? title ?? ''}${shown}${requestId ? ` [${requestId}]` : ''}`
}

const causeOf = (error: unknown): string => {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  if (!(cause instanceof Error)) return String(cause)
  return cause.message || String((cause as NodeJS.ErrnoException).code ?? cause.name)
}

const isTimeout = (error: unknown): boolean => error instanceof Error && error.name === 'TimeoutError'

const sleepFor = (ms: number, signal: AbortSignal): Promise<void> => delay(ms, undefined, { signal })

type Attempt = { readonly method: string; readonly url: string; readonly request: string; readonly init: RequestInit }

/** A function that sends one request, again where that is right; every verb of the client is made of it. */
export const createRequester = (options: HttpClientOptions) => {
  const { timeoutMs: defaultTimeoutMs = 30_000, attemptsMax = 6, sleep = sleepFor } = options
  const nowMs = options.nowMs ?? (() => performance.now())
  const base = options.baseUrl.replace(/\/+$/, '')
  const never = new AbortController().signal

  const sendOnce = async <T>({ url, init }: Attempt, deadline: { signal: AbortSignal; timeoutMs: number }) => {
    const signal = AbortSignal.any([deadline.signal, AbortSignal.timeout(deadline.timeoutMs)])
    const startedAtMs = nowMs()
    const response = await fetch(url, { ...init, signal })
    const body = parseBody(await response.text())
    const elapsedMs = nowMs() - startedAtMs
    return { body: body as T, status: response.status, headers: response.headers, elapsedMs, ok: response.ok }
  }

  /** Null: it did not reach the service, and may be sent again. */
  const tryOnce = async <T>(
    attempt: Attempt,
    deadline: { signal: AbortSignal; timeoutMs: number; isLast: boolean },
  ) => {
    try {
      return await sendOnce<T>(attempt, deadline)
    } catch (error) {
      if (deadline.signal.aborted) throw error
      if (isTimeout(error)) throw new HttpUnreachable(`${attempt.request}: no answer within ${deadline.timeoutMs} ms`)
      if (deadline.isLast) throw new HttpUnreachable(`${attempt.request}: cannot reach ${base}: ${causeOf(error)}`)
      return null
    }
  }

  const headersOf = (method: string, path: string, { body, headers }: RequestOptions): Record<string, string> => ({
    authorization: `Bearer ${options.key}`,
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(method === 'POST' && !path.endsWith('/search') ? { 'idempotency-key': randomUUID() } : {}),
    ...headers,
  })

  return async <T>(method: string, path: string, requestOptions: RequestOptions = {}): Promise<HttpAnswer<T>> => {
    const { body, timeoutMs = defaultTimeoutMs } = requestOptions
    const signal = AbortSignal.any([options.signal ?? never, requestOptions.signal ?? never])
    const init = {
      method,
      headers: headersOf(method, path, requestOptions),
      body: body === undefined ? null : JSON.stringify(body),
    }
    const attempt: Attempt = { method, url: `${base}${path}`, request: `${method} ${path}`, init }
    for (let count = 1; ; count += 1) {
      const isLast = count >= attemptsMax
      const answer = await tryOnce<T>(attempt, { signal, timeoutMs, isLast })
      if (answer?.ok) return answer
      const waitMs = answer === null ? reconnectMs * 2 ** (count - 1) : waitBefore(answer)
      if (answer !== null && (waitMs === null || waitMs > retryAfterMaxMs || isLast)) {
        const { code = '' } = (answer.body ?? {}) as ProblemBody
        throw new HttpProblem(problemMessage(attempt.request, answer.status, answer.body), {
          status: answer.status,
          code,
        })
      }
      await sleep(waitMs ?? 0, signal)
    }
  }
}

const retriedStatuses: ReadonlySet<number> = new Set([409, 429, 503])

/** Null: the answer is final. */
const waitBefore = ({ status, headers }: { status: number; headers: Headers }): number | null =>
  retriedStatuses.has(status) ? retryAfterMs(headers.get('retry-after'), Date.now()) : null
