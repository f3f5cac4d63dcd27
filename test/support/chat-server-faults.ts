/** Ways in which the stand-in fails on demand: on the way, in place of an answer, or within it. */
export type ChatFault =
  /** The connection closes without an answer. */
  | 'down'
  | 'unauthorized'
  | 'no-model'
  /** An answer without end, whole or in events. */
  | 'endless'
  /** Headers at once, then a byte now and then. */
  | 'trickle'
  | 'stall-first'
  | 'stall-middle'
  | 'close-early'
  | 'no-done'
  | 'error-in-stream'
  | 'not-json'
  | 'redirect'
  | 'other-model'
  | 'no-token-ids'
  | 'lost-token-ids'
  | 'unequal-logprobs'
  | 'no-choices'
  | 'no-finish-reason'
  | 'no-usage'
  | 'wrong-types'
  | { readonly status: number; readonly retryAfter?: string; readonly body?: unknown }

export const errorBody = (code: number, message: string, param: string | null = null) => ({
  error: { message, type: code === 404 ? 'NotFoundError' : 'BadRequestError', param, code },
})

export type FaultAnswer = { readonly status: number; readonly headers: Record<string, string>; readonly body: unknown }

/** What is sent in place of an answer; null when the fault is of another kind. */
export const faultAnswer = (fault: ChatFault | null): FaultAnswer | null => {
  if (fault === 'unauthorized') return { status: 401, headers: {}, body: { error: 'Unauthorized' } }
  if (fault === 'no-model')
    return { status: 404, headers: {}, body: errorBody(404, 'The model `x` does not exist.', 'model') }
  if (fault === 'redirect') return { status: 307, headers: { location: 'http://127.0.0.1:9/' }, body: undefined }
  if (typeof fault !== 'object' || fault === null) return null
  const headers: Record<string, string> = fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter }
  return { status: fault.status, headers, body: fault.body ?? errorBody(fault.status, 'as the test asked') }
}

type Body = Record<string, unknown>
type Choice = { token_ids?: unknown; logprobs?: { content: unknown[] } | null; finish_reason?: unknown } & Body

const withChoice = (body: Body, change: (choice: Choice) => Choice): Body => ({
  ...body,
  choices: (body.choices as Choice[]).map(change),
})

const without = (body: Body, ...names: readonly string[]): Body =>
  Object.fromEntries(Object.entries(body).filter(([name]) => !names.includes(name)))

/** The body of an answer, or one chunk of a stream, as the fault leaves it. */
export const distort = (fault: ChatFault | null, body: Body): Body => {
  if (fault === 'other-model') return { ...body, model: 'somebody-else' }
  if (fault === 'no-choices') return { ...body, choices: 'choices' in body ? [] : undefined }
  if (fault === 'no-usage') return without(body, 'usage')
  if (fault === 'no-token-ids')
    return withChoice(without(body, 'prompt_token_ids'), (choice) => ({ ...choice, token_ids: null, logprobs: null }))
  if (fault === 'lost-token-ids')
    return withChoice(body, (choice) => ({
      ...choice,
      token_ids: (choice.token_ids as number[] | undefined)?.slice(1),
    }))
  if (fault === 'unequal-logprobs')
    return withChoice(body, (choice) => ({ ...choice, logprobs: { content: choice.logprobs?.content.slice(1) ?? [] } }))
  if (fault === 'no-finish-reason') return withChoice(body, (choice) => ({ ...choice, finish_reason: null }))
  if (fault === 'wrong-types')
    return withChoice(body, (choice) => ({ ...choice, message: { content: 7 }, delta: { content: 7 } }))
  return body
}
