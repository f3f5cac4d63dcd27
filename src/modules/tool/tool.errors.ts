import { AppError, type FieldError } from '../../shared/errors.ts'
import type { CallProblem } from './read-calls.ts'

export const invalidArguments = (errors: readonly FieldError[]) =>
  new AppError({
    code: 'tool.invalid_arguments',
    status: 422,
    detail: 'The tool cannot run with these arguments. Mend those named in errors.',
    errors,
  })

/** A call of a model that must not run, as the error that the model reads. */
export const unrunnableCall = ({ code, detail }: CallProblem) =>
  new AppError({ code: `tool.${code}`, status: 422, detail })

/** FILTER cannot go on without the embedder, as a search can. */
export const embedderLate = (cause: unknown) =>
  new AppError({
    code: 'embedder.unavailable',
    status: 503,
    retryable: true,
    retryAfterSeconds: 1,
    detail: 'The embedder did not answer in time, so nothing was removed. Try again.',
    cause,
  })

export const outputMissing = () =>
  new AppError({
    code: 'tool.output_missing',
    status: 422,
    detail: 'Send either output, the raw text of a model, or tool_calls in the form of OpenAI, and not both.',
  })
