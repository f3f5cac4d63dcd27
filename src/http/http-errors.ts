/** What the edge itself refuses whatever else is under way, and what Fastify's own errors become. */
import type { FastifyError, FastifyRequest } from 'fastify'
import { cutText } from '../shared/cut-text.ts'
import { AppError, brokenInvariant, type FieldError, isAppError } from '../shared/errors.ts'
import { joinFieldErrors } from '../shared/field-errors.ts'
import { jsonPointer } from '../shared/json-limits.ts'

export const routeNotFound = () =>
  new AppError({
    code: 'request.route_not_found',
    status: 404,
    detail: 'There is no such path. /docs lists the operations.',
  })

export const methodNotAllowed = (methods: readonly string[]) =>
  new AppError({
    code: 'request.method_not_allowed',
    status: 405,
    detail: `This path does not take that method. It takes ${methods.join(', ')}.`,
  })

export const unauthenticated = () =>
  new AppError({
    code: 'auth.invalid_key',
    status: 401,
    detail: 'Send a live key as `Authorization: Bearer <key>`. This one is missing, unknown, expired or revoked.',
  })

export const scopeMissing = (...scopes: readonly string[]) =>
  new AppError({
    code: 'auth.scope_missing',
    status: 403,
    detail: `This operation needs a key with the scope ${scopes.join(' or ')}.`,
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
    detail: 'The request holds text, a key or a number that cannot be stored, or is nested too deep.',
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

/** Nobody sees its status; it is none of the server's errors, as proxies have it too. */
export const clientGone = (cause?: unknown) =>
  new AppError({ code: 'request.aborted', status: 499, detail: 'The client went away.', retryable: true, cause })

const causesMax = 4

/** Whether an error is, or came of, work that ended because nobody waits for it any more. */
export const isOfClientGone = (error: unknown, depth = 0): boolean => {
  if (isAppError(error, 'request.aborted') || isNamed(error, 'AbortError')) return true
  return depth < causesMax && error instanceof Error && isOfClientGone(error.cause, depth + 1)
}

const refuse = (code: string, status: number, detail: string) => (cause?: unknown) =>
  new AppError({ code, status, detail, cause })

const malformed = refuse('request.malformed', 400, 'The request cannot be read: its path or its body is malformed.')

export const wrongLength = malformed

export const bodyTooSlow = () =>
  new AppError({
    code: 'request.too_slow',
    status: 408,
    detail: 'The body came too slowly, or stopped coming. Send it again, faster.',
    retryable: true,
  })

export const bodyTooLarge = refuse(
  'request.too_large',
  413,
  'The body is too large. Send less at once, or stream it where the operation takes application/x-ndjson.',
)

export const tooManyValues = refuse(
  'request.too_large',
  413,
  'The body holds too many values: at most 200,000 in all, 50,000 objects and arrays, and 10,000 different names. Send less at once, or stream it where the operation takes application/x-ndjson.',
)

export const unsupportedMediaType = refuse(
  'request.unsupported_media_type',
  415,
  'Send the body as application/json in UTF-8, or as application/x-ndjson where the operation says so.',
)

export const unsupportedEncoding = refuse(
  'request.unsupported_media_type',
  415,
  'Send the body as it is: a Content-Encoding other than identity is not taken.',
)

export const malformedJson = (reason: string) =>
  new AppError({ code: 'request.malformed_json', status: 400, detail: `The body cannot be read as JSON: ${reason}.` })

export const unexpectedBody = refuse('request.unexpected_body', 400, 'This operation takes no body.')

const invalidRequest = (errors: readonly FieldError[]) =>
  new AppError({
    code: 'request.invalid',
    status: 400,
    detail: 'The request does not have the form of this operation. Mend what is named in errors.',
    errors: errors.slice(0, 20),
  })

export const unknownParameters = (names: readonly string[]) =>
  invalidRequest(names.map((name) => ({ pointer: jsonPointer([cutText(name, 64)]), detail: 'is not known here' })))

export const malformedHttp = refuse('request.malformed_http', 400, 'What was sent is not HTTP/1.1.')

export const headersTooLarge = refuse('request.headers_too_large', 431, 'The headers are too large.')

export const requestTimeout = refuse('request.timeout', 408, 'The request did not arrive in time.')

const byFastifyCode: Readonly<Record<string, (cause: unknown) => AppError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: bodyTooLarge,
  FST_ERR_CTP_INVALID_MEDIA_TYPE: unsupportedMediaType,
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: malformed,
  FST_ERR_HANDLER_TIMEOUT: requestDeadline,
}

/** Fields of a body are pointed at by themselves, as those of a query; a header by its name below /headers. */
const pointerOf = (part: string, path: string): string => (part === 'headers' ? `/headers${path}` : path)

type Fault = NonNullable<FastifyError['validation']>[number]

const fieldErrorOf = (part: string, { instancePath, message, params }: Fault): FieldError => {
  const { additionalProperty, missingProperty, allowedValue } = params
  if (typeof additionalProperty === 'string')
    return {
      pointer: pointerOf(part, instancePath + jsonPointer([cutText(additionalProperty, 64)])),
      detail: 'is not known here',
    }
  if (typeof missingProperty === 'string')
    return { pointer: pointerOf(part, instancePath + jsonPointer([missingProperty])), detail: 'is missing' }
  const detail = allowedValue === undefined ? (message ?? 'is invalid') : `must be ${JSON.stringify(allowedValue)}`
  return { pointer: pointerOf(part, instancePath), detail }
}

/** That no branch of a union fits says nothing beside what each of them wants. */
const fieldErrorsOf = ({ validation = [], validationContext = 'body' }: FastifyError): readonly FieldError[] => {
  const faults = validation.filter(({ keyword }) => keyword !== 'anyOf')
  return joinFieldErrors(faults.map((fault) => fieldErrorOf(validationContext, fault)))
}

const validationFailed = (error: FastifyError): AppError => invalidRequest(fieldErrorsOf(error))

/** For routes that check their body themselves: what else of the request is invalid is refused as everywhere. */
export const ensureValidPath = ({ validationError }: Pick<FastifyRequest, 'validationError'>): void => {
  if (validationError !== undefined && validationError.validationContext !== 'body') throw validationError
}

const isNamed = (error: unknown, name: string): boolean => (error as { name?: unknown } | null)?.name === name

/** Any error that a handler, a hook or Fastify throws, as the one that the client sees. */
export const toAppError = (error: unknown): AppError => {
  if (isAppError(error)) return error
  if (isNamed(error, 'TimeoutError')) return requestDeadline(error)
  if (isNamed(error, 'AbortError')) return clientGone(error)
  const failed = error as Partial<FastifyError>
  if (failed.validation !== undefined) return validationFailed(failed as FastifyError)
  const known = byFastifyCode[failed.code ?? '']
  if (known !== undefined) return known(error)
  if (failed.statusCode !== undefined && failed.statusCode >= 400 && failed.statusCode < 500) return malformed(error)
  return brokenInvariant('Something went wrong in the service. The request id tells the operator what.', error)
}
