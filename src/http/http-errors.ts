/** What the edge itself refuses, and what Fastify's own errors become. */
import type { FastifyError } from 'fastify'
import { AppError, brokenInvariant, type FieldError, isAppError } from '../shared/errors.ts'

export const routeNotFound = () =>
  new AppError({
    code: 'request.route_not_found',
    status: 404,
    detail: 'There is no such path, or it does not take this method. /docs lists the operations.',
  })

export const unauthenticated = () =>
  new AppError({
    code: 'auth.invalid_key',
    status: 401,
    detail: 'Send a live key as `Authorization: Bearer <key>`. This one is missing, unknown, expired or revoked.',
  })

export const scopeMissing = (scope: string) =>
  new AppError({
    code: 'auth.scope_missing',
    status: 403,
    detail: `This operation needs a key with the scope ${scope}.`,
  })

export const operatorNeeded = () =>
  new AppError({
    code: 'auth.operator_needed',
    status: 403,
    detail: "This operation belongs to the operator: it needs the operator's key, not a tenant's.",
  })

export const tenantNeeded = () =>
  new AppError({
    code: 'auth.tenant_needed',
    status: 403,
    detail: "This operation needs a tenant's key: the operator's key belongs to no tenant and reads no content.",
  })

export const rateLimited = (retryAfterSeconds: number) =>
  new AppError({
    code: 'quota.requests_per_second',
    status: 429,
    retryable: true,
    retryAfterSeconds,
    detail: 'Too many requests. Wait as Retry-After says, then go on more slowly.',
  })

export const overloaded = () =>
  new AppError({
    code: 'server.overloaded',
    status: 503,
    retryable: true,
    retryAfterSeconds: 1,
    detail: 'The service is at its limit and takes no more requests for the moment. Try again.',
  })

export const draining = () =>
  new AppError({
    code: 'server.draining',
    status: 503,
    retryable: true,
    retryAfterSeconds: 2,
    detail: 'The service is stopping. Try again: another process takes over.',
  })

export const invalidIdempotencyKey = () =>
  new AppError({
    code: 'request.invalid_idempotency_key',
    status: 400,
    detail: 'Idempotency-Key must be 1 to 255 visible ASCII characters.',
  })

export const unsafeText = (error: FieldError) =>
  new AppError({
    code: 'request.unsafe_text',
    status: 400,
    detail: 'The body holds text or a key that cannot be stored, or is nested too deep.',
    errors: [error],
  })

const requestDeadline = (cause: unknown) =>
  new AppError({
    code: 'request.deadline',
    status: 503,
    retryable: true,
    retryAfterSeconds: 1,
    detail: 'The request took longer than it may. Nothing is half done; try again.',
    cause,
  })

const clientGone = (cause: unknown) =>
  new AppError({ code: 'request.aborted', status: 503, detail: 'The client went away.', retryable: true, cause })

const byFastifyCode: Readonly<Record<string, { code: string; status: number; detail: string }>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'request.too_large', status: 413, detail: 'The body is too large.' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: 'request.unsupported_media_type',
    status: 415,
    detail: 'Send the body as application/json, or as application/x-ndjson where the operation says so.',
  },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'request.malformed',
    status: 400,
    detail: 'The body is not as long as Content-Length says.',
  },
}

const pointerOf = (part: string, path: string): string => (part === 'body' ? path : `/${part}${path}`)

const validationFailed = ({ validation = [], validationContext = 'body' }: FastifyError): AppError =>
  new AppError({
    code: 'request.invalid',
    status: 400,
    detail: 'The request does not have the form of this operation. Mend what is named in errors.',
    errors: validation.slice(0, 20).map(({ instancePath, message, params }) => {
      const extra = params.additionalProperty
      const name = typeof extra === 'string' ? ` (${JSON.stringify(extra.slice(0, 64))})` : ''
      return { pointer: pointerOf(validationContext, instancePath), detail: `${message ?? 'is invalid'}${name}` }
    }),
  })

const isNamed = (error: unknown, name: string): boolean => (error as { name?: unknown } | null)?.name === name

/** Any error that a handler, a hook or Fastify throws, as the one that the client sees. */
export const toAppError = (error: unknown): AppError => {
  if (isAppError(error)) return error
  if (isNamed(error, 'TimeoutError')) return requestDeadline(error)
  if (isNamed(error, 'AbortError')) return clientGone(error)
  const failed = error as Partial<FastifyError>
  if (failed.validation !== undefined) return validationFailed(failed as FastifyError)
  const known = byFastifyCode[failed.code ?? '']
  if (known !== undefined) return new AppError({ ...known, cause: error })
  if (failed.statusCode !== undefined && failed.statusCode >= 400 && failed.statusCode < 500)
    return new AppError({
      code: 'request.malformed',
      status: 400,
      detail: 'The request cannot be read: its body is not valid JSON, or holds a reserved key such as __proto__.',
      cause: error,
    })
  return brokenInvariant('Something went wrong in the service. The request id tells the operator what.', error)
}
