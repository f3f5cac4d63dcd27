/**
 * One exchange with the model server, behind the breaker. A generation is never asked for twice once it may have begun;
 * one more try is made where it cannot have: no connection came about, or the server said when to come back.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { isAppError } from '../../shared/errors.ts'
import type { Breaker } from '../calls/breaker.ts'
import { type Failure, failureOf } from './vllm-failure.ts'

export type ExchangeLimits = {
  readonly signal: AbortSignal
  /** By `performance.now()`: what cannot be done before it is not begun. */
  readonly endsAtMs: number
}

/** @throws AppError of the port's codes; the signal's reason when it aborts */
export type Exchange = <T>(send: (signal: AbortSignal) => Promise<T>, limits: ExchangeLimits) => Promise<T>

type Outcome<T> = { readonly answer: T } | { readonly failure: Failure }

export type ExchangeOptions = {
  readonly breaker: Breaker
  readonly windowTokens: () => number | null
  readonly onFailure: (failure: Failure) => void
}

const attempt = async <T>(send: () => Promise<T>, windowTokens: () => number | null): Promise<Outcome<T>> => {
  try {
    return { answer: await send() }
  } catch (error) {
    return { failure: failureOf(error, windowTokens()) }
  }
}

export const createExchange = ({ breaker, windowTokens, onFailure }: ExchangeOptions): Exchange => {
  const attemptTwice = async <T>(send: () => Promise<T>, { signal, endsAtMs }: ExchangeLimits): Promise<Outcome<T>> => {
    const first = await attempt(send, windowTokens)
    const retryMs = 'failure' in first ? first.failure.retryMs : null
    if (signal.aborted || retryMs === null || performance.now() + retryMs >= endsAtMs) return first
    await sleep(retryMs, undefined, { signal }).catch(() => {})
    return signal.aborted ? first : attempt(send, windowTokens)
  }

  return async (send, limits) => {
    const { signal } = limits
    breaker.ensureMayCall()
    const outcome = await attemptTwice(() => send(signal), limits)
    if ('answer' in outcome) {
      breaker.noteAnswer()
      return outcome.answer
    }
    if (signal.aborted) {
      if (isAppError(signal.reason, 'inference.deadline')) breaker.noteFailure()
      throw signal.reason
    }
    if (outcome.failure.isAway) breaker.noteFailure()
    else breaker.noteAnswer()
    onFailure(outcome.failure)
    throw outcome.failure.error
  }
}
