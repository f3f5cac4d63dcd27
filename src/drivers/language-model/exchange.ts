/**
 * One exchange with the model server, behind the breaker. A generation is never asked for twice once it may have begun;
 * one more try is made where it cannot have: no connection came about, or the server said when to come back.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { isAppError } from '../../shared/errors.ts'
import type { Breaker } from './breaker.ts'
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

export const createExchange = ({ breaker, windowTokens, onFailure }: ExchangeOptions): Exchange => {
  const attempt = async <T>(send: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<Outcome<T>> => {
    breaker.ensureMayCall()
    try {
      const answer = await send(signal)
      breaker.noteAnswer()
      return { answer }
    } catch (error) {
      if (signal.aborted) {
        if (isAppError(signal.reason, 'inference.deadline')) breaker.noteFailure()
        throw signal.reason
      }
      const failure = failureOf(error, windowTokens())
      if (failure.isAway) breaker.noteFailure()
      else breaker.noteAnswer()
      onFailure(failure)
      return { failure }
    }
  }

  return async (send, { signal, endsAtMs }) => {
    const first = await attempt(send, signal)
    if ('answer' in first) return first.answer
    const { error, retryMs } = first.failure
    if (retryMs === null || performance.now() + retryMs >= endsAtMs) throw error
    await sleep(retryMs, undefined, { signal }).catch(() => signal.throwIfAborted())
    const second = await attempt(send, signal)
    if ('answer' in second) return second.answer
    throw second.failure.error
  }
}
