/**
 * A client in a thread of its own, which makes, sends and reads requests over a socket: what the event loop of the test
 * computes meanwhile is the service's work alone.
 */
import { Worker } from 'node:worker_threads'

export type ThreadRequest = {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly json?: unknown
  /** Sent as it is, in place of `json`. */
  readonly text?: string
}

/** `text` is the beginning of the answer: 65,536 bytes at most. */
export type ThreadAnswer = { readonly status: number; readonly bytes: number; readonly text: string }

type Told = { readonly id: number; readonly answer?: ThreadAnswer; readonly error?: string }

export type ClientThread = {
  /** Resolves when the request is written out and nothing is left but to send it, which the function does. */
  load(request: ThreadRequest): Promise<() => Promise<ThreadAnswer>>
  close(): Promise<void>
}

export const createClientThread = (url: string, headers: Readonly<Record<string, string>>): ClientThread => {
  const worker = new Worker(new URL('./client-thread.mjs', import.meta.url), { workerData: { url, headers } })
  const waiting = new Map<number, (told: Told) => void>()
  worker.on('message', (told: Told) => waiting.get(told.id)?.(told))
  let count = 0
  const tell = (message: { readonly id: number; readonly load?: ThreadRequest }): Promise<Told> =>
    new Promise((resolve) => {
      waiting.set(message.id, resolve)
      worker.postMessage(message)
    })
  return {
    load: async (request) => {
      count += 1
      const id = count
      await tell({ id, load: request })
      return async () => {
        const { answer, error } = await tell({ id })
        waiting.delete(id)
        if (answer === undefined) throw new Error(error)
        return answer
      }
    },
    close: async () => {
      await worker.terminate()
    },
  }
}
