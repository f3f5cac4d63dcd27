/**
 * The one error of the service. Each module has the factories of its own in `<word>.errors.ts`; drivers translate vendor
 * errors once. The edge renders it as an RFC 9457 problem document, tool calls as an observation.
 */
export type FieldError = {
  /** JSON pointer into the request, `` for the whole of it. */
  readonly pointer: string
  readonly detail: string
}

export type AppErrorOptions = {
  /** Stable, machine-readable: `memory.not_found`. Also the heading in docs/errors.md. */
  readonly code: string
  readonly status: number
  /** For people: what is wrong and what to do about it. Carries no content of the tenant. */
  readonly detail: string
  /** True when the same request may succeed later without a change. */
  readonly retryable?: boolean
  readonly retryAfterSeconds?: number
  readonly errors?: readonly FieldError[]
  readonly cause?: unknown
}

export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: string
  readonly status: number
  readonly detail: string
  readonly retryable: boolean
  readonly retryAfterSeconds: number | undefined
  readonly errors: readonly FieldError[]

  constructor(options: AppErrorOptions) {
    super(`${options.code}: ${options.detail}`, { cause: options.cause })
    this.code = options.code
    this.status = options.status
    this.detail = options.detail
    this.retryable = options.retryable ?? false
    this.retryAfterSeconds = options.retryAfterSeconds
    this.errors = options.errors ?? []
  }
}

export const isAppError = (error: unknown, code?: string): error is AppError =>
  error instanceof AppError && (code === undefined || error.code === code)

/** A state the code rules out. Always a 500, always loud. */
export const brokenInvariant = (detail: string, cause?: unknown) =>
  new AppError({ code: 'internal.broken_invariant', status: 500, detail, cause })
