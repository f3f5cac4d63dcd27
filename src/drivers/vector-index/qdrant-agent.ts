/**
 * The connections to Qdrant. Answers are bounded in bytes and taken as they are: one that comes packed is refused, since
 * it was asked for plain and a small packed one could unpack into anything.
 */
import { Agent, type Dispatcher } from 'undici'

const connectionsMax = 25
const keepAliveMs = 10_000
/** The largest asked for are thousands of hits of some 300 bytes each. */
const answerBytesMax = 16 * 1_024 * 1_024

const isPacked = (headers: readonly Buffer[] | readonly string[] | null): boolean =>
  (headers ?? []).some(
    (name, at, all) =>
      at % 2 === 0 && String(name).toLowerCase() === 'content-encoding' && String(all[at + 1]) !== 'identity',
  )

type Handlers = Dispatcher.DispatchHandlers

const refusingPacked = (handler: Handlers): Handlers => ({
  onConnect: (abort) => handler.onConnect?.(abort),
  onError: (error) => handler.onError?.(error),
  onResponseStarted: () => handler.onResponseStarted?.(),
  onHeaders: (status, headers, resume, statusText) => {
    if (isPacked(headers)) throw new Error('the answer is packed')
    return handler.onHeaders?.(status, headers, resume, statusText) ?? true
  },
  onData: (chunk) => handler.onData?.(chunk) ?? true,
  onComplete: (trailers) => handler.onComplete?.(trailers),
  onBodySent: (chunkSize, totalBytesSent) => handler.onBodySent?.(chunkSize, totalBytesSent),
})

export type QdrantAgent = { readonly dispatcher: Dispatcher; close(): Promise<void> }

/** Its time limits are the signals of the calls. */
export const createQdrantAgent = (): QdrantAgent => {
  const agent = new Agent({
    ...{ connections: connectionsMax, keepAliveTimeout: keepAliveMs, maxResponseSize: answerBytesMax },
    ...{ bodyTimeout: 0, headersTimeout: 0 },
  })
  const dispatcher = agent.compose((dispatch) => (options, handler) => dispatch(options, refusingPacked(handler)))
  return { dispatcher, close: () => agent.destroy() }
}
