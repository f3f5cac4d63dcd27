/** Errors of the language model. None carries a prompt, a key or what a server said: servers repeat their input in errors. */
import { AppError } from '../../shared/errors.ts'

export const inferenceUnavailable = (
  detail: string,
  { cause, retryAfterSeconds = 1 }: { readonly cause?: unknown; readonly retryAfterSeconds?: number } = {},
) => new AppError({ code: 'inference.unavailable', status: 503, retryable: true, retryAfterSeconds, detail, cause })

export const inferenceDeadline = (detail: string) =>
  new AppError({ code: 'inference.deadline', status: 503, retryable: true, retryAfterSeconds: 1, detail })

export const inferenceClosed = () => inferenceUnavailable('The language model is closed.')

export const promptTooLong = (windowTokens: number | null) =>
  new AppError({
    code: 'inference.prompt_too_long',
    status: 422,
    detail: `The prompt leaves no room for an answer in the model's window${
      windowTokens === null ? '' : ` of ${windowTokens} tokens`
    }. Shorten the context: summarise or filter it.`,
  })

export const inferenceRefused = (detail: string) => new AppError({ code: 'inference.refused', status: 502, detail })

export const inferenceMisbehaved = (what: string) =>
  new AppError({
    code: 'inference.misbehaved',
    status: 502,
    detail: `The model server answered with ${what}. Check that what answers under the url of the model is vLLM.`,
  })

export const inferenceMisconfigured = (detail: string) =>
  new AppError({ code: 'inference.misconfigured', status: 500, detail })
