/** The events of a run as the service streams them (server-sent events), in their wire names. */
import { HttpProblem, HttpUnreachable, problemMessage } from './http-request.ts'
import type { ContextBody } from './wire-types.ts'

export type ServiceAddress = { readonly baseUrl: string; readonly key: string }

export type RunEventBody =
  | { readonly type: 'step.started'; readonly data: { readonly turn: number; readonly context: ContextBody } }
  | { readonly type: 'thinking' | 'token'; readonly data: { readonly text: string } }
  | { readonly type: 'tool.called'; readonly data: { readonly name: string; readonly arguments: unknown } }
  | {
      readonly type: 'tool.result'
      readonly data: {
        readonly name: string
        readonly status: 'ok' | 'error'
        readonly result?: unknown
        readonly problem?: { readonly detail: string }
      }
    }
  | { readonly type: 'context.edited'; readonly data: { readonly context: ContextBody } }
  | { readonly type: 'answer'; readonly data: { readonly answer: string } }
  | { readonly type: 'error'; readonly data: { readonly code: string; readonly detail: string } }
  | { readonly type: 'done'; readonly data: { readonly finish_reason?: string; readonly context?: ContextBody } }

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Null: a comment, which keeps the connection open. */
const toEvent = (block: string): RunEventBody | null => {
  const fields = block.split('\n').map((line) => /^(event|data): (.*)$/.exec(line))
  const textOf = (name: string) => fields.find((field) => field?.[1] === name)?.[2]
  const data = textOf('data')
  // The service's own contract; a type that is not known here is shown by nobody.
  return data === undefined ? null : ({ type: textOf('event'), data: parseJson(data) } as RunEventBody)
}

async function* eventsIn(body: AsyncIterable<Uint8Array>): AsyncGenerator<RunEventBody> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of body) {
    const blocks = (rest + decoder.decode(bytes, { stream: true })).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const event = toEvent(block)
      if (event !== null) yield event
    }
  }
}

const unreachable = (error: unknown, signal: AbortSignal): never => {
  signal.throwIfAborted()
  throw new HttpUnreachable('The service cannot be reached, or ended the connection.', { cause: error })
}

/** Runs the policy on what the user said. @throws HttpProblem when it is refused, HttpUnreachable when nobody answers */
export async function* streamRun(
  { baseUrl, key }: ServiceAddress,
  { sessionId, input, signal }: { readonly sessionId: string; readonly input: string; readonly signal: AbortSignal },
): AsyncGenerator<RunEventBody> {
  const path = `/v1/sessions/${encodeURIComponent(sessionId)}/policy/run`
  const response = await fetch(`${baseUrl.replace(/\/+$/, '')}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, accept: 'text/event-stream', 'content-type': 'application/json' },
    body: JSON.stringify({ input }),
    signal,
  }).catch((error: unknown) => unreachable(error, signal))
  if (!response.ok) {
    const body = parseJson(await response.text())
    const { code = '' } = typeof body === 'object' && body !== null ? (body as { code?: string }) : {}
    throw new HttpProblem(problemMessage(`POST ${path}`, response.status, body), { status: response.status, code })
  }
  try {
    if (response.body !== null) yield* eventsIn(response.body)
  } catch (error) {
    unreachable(error, signal)
  }
}
