/** The embedder's errors. None carries a text, a key or what a server said: servers repeat their input in errors. */
import { AppError, isAppError } from '../../shared/errors.ts'

export const embedderUnavailable = (
  detail: string,
  { cause, retryAfterSeconds = 1 }: { readonly cause?: unknown; readonly retryAfterSeconds?: number } = {},
) => new AppError({ code: 'embedder.unavailable', status: 503, retryable: true, retryAfterSeconds, detail, cause })

/** `errors` points at each refused text by its position, so that the caller can go on without them. */
export const embedderRefused = (positions: readonly number[]) =>
  new AppError({
    code: 'embedder.refused',
    status: 422,
    detail: 'The embedding model refuses a text, most likely because it is too long. Shorten or split the text.',
    errors: positions.map((position) => ({ pointer: `/${position}`, detail: 'is refused by the embedding model' })),
  })

/** Positions of the refused texts; undefined when the error is another one. */
export const refusedPositions = (error: unknown): readonly number[] | undefined =>
  isAppError(error, 'embedder.refused') ? error.errors.map(({ pointer }) => Number(pointer.slice(1))) : undefined

const misbehaved = {
  code: 'embedder.misbehaved',
  status: 503,
  detail: (what: string) =>
    `The embedding server answered with ${what}. Check that its model and settings are the configured ones.`,
}

/** The whole server is wrong, another model behind its address say: no text is to blame, and it may be set right. */
export const embedderMisbehaved = (what: string) =>
  new AppError({ ...misbehaved, retryable: true, detail: misbehaved.detail(what) })

/** The vector of one text is of no use: asking again would bring the same. */
export const vectorUnusable = (what: string) => new AppError({ ...misbehaved, detail: misbehaved.detail(what) })
