/** An error as an RFC 9457 problem document. `type` is a heading of docs/errors.md. */
import { STATUS_CODES } from 'node:http'
import type { AppError } from '../shared/errors.ts'

export type ProblemBody = {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly request_id: string
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[]
}

type OpenAiError = {
  readonly message: string
  readonly type: string
  readonly code: string
  readonly param: string | null
}

const openAiTypeOf = (status: number): string => {
  if (status >= 500) return 'server_error'
  if (status === 429) return 'rate_limit_error'
  return status === 401 || status === 403 ? 'authentication_error' : 'invalid_request_error'
}

/** An error as OpenAI's clients read it, from the member `error` of a body; the code is the problem's own. */
export const openAiErrorOf = ({
  status,
  code,
  detail,
  errors = [],
}: Pick<AppError, 'status' | 'code' | 'detail'> & { readonly errors?: AppError['errors'] }): OpenAiError => ({
  message: [detail, ...errors.slice(0, 3).map((error) => `${error.pointer} ${error.detail}`)].join(' '),
  type: openAiTypeOf(status),
  code,
  param: errors[0]?.pointer.replace(/^\//, '').replaceAll('/', '.') || null,
})

export const problemBodyOf = (error: AppError, requestId: string): ProblemBody => ({
  type: `docs/errors.md#${error.code.replaceAll('.', '')}`,
  title: STATUS_CODES[error.status] ?? 'Error',
  status: error.status,
  code: error.code,
  detail: error.detail,
  request_id: requestId,
  ...(error.errors.length === 0 ? {} : { errors: error.errors }),
})
