/** What is told of each generation, for metrics: numbers and one word. */
import type { ChatReply } from '../../ports/language-model.ts'
import { isAppError } from '../../shared/errors.ts'

export const callOutcomes = [
  'answered',
  'aborted',
  'unavailable',
  'deadline',
  'prompt_too_long',
  'refused',
  'misbehaved',
] as const

export type CallOutcome = (typeof callOutcomes)[number]

export type CallRecord = {
  readonly outcome: CallOutcome
  /** 0 when there was no answer to tell. */
  readonly promptTokens: number
  readonly completionTokens: number
  /** From the request to the end of the answer, its wait for a place included. */
  readonly seconds: number
}

/** What is no error of the model is the caller's wish to end. */
const outcomeOf = (error: unknown): CallOutcome => {
  const word = isAppError(error) ? error.code.replace(/^inference\./, '') : ''
  return callOutcomes.find((outcome) => outcome === word) ?? 'aborted'
}

export type Recorder = {
  answered(reply: ChatReply): void
  failed(error: unknown): void
}

/** The first thing it is told counts. */
export const createRecorder = (onCall: (record: CallRecord) => void): Recorder => {
  const startedMs = performance.now()
  let isTold = false
  const tell = (outcome: CallOutcome, promptTokens: number, completionTokens: number): void => {
    if (isTold) return
    isTold = true
    onCall({ outcome, promptTokens, completionTokens, seconds: (performance.now() - startedMs) / 1_000 })
  }
  return {
    answered: ({ usage }) => tell('answered', usage.promptTokens, usage.completionTokens),
    failed: (error) => tell(outcomeOf(error), 0, 0),
  }
}
