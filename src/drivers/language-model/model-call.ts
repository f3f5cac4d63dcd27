/**
 * The life of one call: what may end it (its caller, its deadline, a stall, the end of the driver), told apart by the
 * reason of one signal, and what has to be given back when it ends. It ends once, however that comes about: a caller
 * that drops an iteration without closing it gives everything back at the deadline.
 */
import { isAppError } from '../../shared/errors.ts'
import { isBodyTooLong } from '../calls/bounded-body.ts'
import type { Lifetime } from '../calls/lifetime.ts'
import { inferenceDeadline, inferenceMisbehaved, inferenceUnavailable } from './inference-errors.ts'

export type ModelCall = {
  readonly signal: AbortSignal
  /** By `performance.now()`. */
  readonly endsAtMs: number
  abort(reason: Error): void
  /** Runs at the end; at once when that has come. */
  onEnd(work: () => void): void
  /** Ends what is still under way for this call. */
  end(): void
  /** What to throw in place of `error`: why the call was aborted, if it was. */
  failureOf(error: unknown): unknown
}

export type CallBounds = {
  readonly lifetime: Lifetime
  readonly signal: AbortSignal | undefined
  readonly timeoutMs: number
}

/** A deadline of the caller's is a missed deadline like any other. */
const abortErrorOf = (reason: unknown): unknown =>
  reason instanceof Error && reason.name === 'TimeoutError'
    ? inferenceDeadline('The language model did not answer within the time of its caller. Try again.')
    : reason

/** @throws the signal's reason when it has aborted; AppError `inference.unavailable` when the driver is closed */
export const openCall = ({ lifetime, signal, timeoutMs }: CallBounds): ModelCall => {
  if (signal?.aborted) throw abortErrorOf(signal.reason)
  const stay = lifetime.enter(signal)
  const late = () =>
    stay.abort(inferenceDeadline(`The language model did not answer within ${timeoutMs} ms. Try again.`))
  const timer = setTimeout(late, timeoutMs)
  const closers: (() => void)[] = []
  let hasEnded = false

  const giveBack = (): void => {
    hasEnded = true
    clearTimeout(timer)
    stay.leave()
    for (const closer of closers.splice(0)) closer()
  }
  stay.signal.addEventListener('abort', giveBack, { once: true })

  return {
    signal: stay.signal,
    endsAtMs: performance.now() + timeoutMs,
    abort: stay.abort,
    onEnd: (work) => {
      if (hasEnded) work()
      else closers.push(work)
    },
    end: () => {
      if (hasEnded) return
      giveBack()
      stay.abort(new Error('the call has ended'))
    },
    failureOf: (error) => {
      if (stay.signal.aborted) return abortErrorOf(stay.signal.reason)
      if (isAppError(error)) return error
      if (isBodyTooLong(error)) return inferenceMisbehaved('more than was asked for')
      return inferenceUnavailable('The model server broke off its answer. Try again.', { cause: error })
    },
  }
}
