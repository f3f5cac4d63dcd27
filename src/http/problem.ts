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

export const problemBodyOf = (error: AppError, requestId: string): ProblemBody => ({
  type: `docs/errors.md#${error.code.replaceAll('.', '')}`,
  title: STATUS_CODES[error.status] ?? 'Error',
  status: error.status,
  code: error.code,
  detail: error.detail,
  request_id: requestId,
  ...(error.errors.length === 0 ? {} : { errors: error.errors }),
})
