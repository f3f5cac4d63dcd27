/** Bounds each wait for the server within a call, so that a stream that stopped is not waited for until the deadline. */
import { inferenceDeadline } from './inference-errors.ts'
import type { ModelCall } from './model-call.ts'

export type StallGuard = {
  /** Aborts the call when the promise takes too long. */
  during<T>(promise: Promise<T>): Promise<T>
  /** The same items; only the waits for them are bounded, not what is done between. */
  watch<T>(items: AsyncIterable<T>): AsyncGenerator<T>
}

export const createStallGuard = (call: ModelCall, stallMs: number): StallGuard => {
  const during = async <T>(promise: Promise<T>): Promise<T> => {
    const stalled = () => call.abort(inferenceDeadline(`The model server wrote nothing for ${stallMs} ms. Try again.`))
    const timer = setTimeout(stalled, stallMs)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
    }
  }
  async function* watch<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
    const iterator = items[Symbol.asyncIterator]()
    try {
      for (let next = await during(iterator.next()); next.done !== true; next = await during(iterator.next()))
        yield next.value
    } finally {
      await iterator.return?.()
    }
  }
  return { during, watch }
}
