/** Opens a streamed turn. It counts as answered with its first event: a stuck engine still sends the headers at once. */

import type { chatBodyOf } from './chat-request.ts'
import { inferenceMisbehaved } from './inference-errors.ts'
import { readServerSentEvents } from './server-sent-events.ts'
import type { StallGuard } from './stall.ts'
import { answerUpTo, type VllmClient } from './vllm-client.ts'

type ChatBody = ReturnType<typeof chatBodyOf>

export type StreamOpening = {
  readonly client: VllmClient
  readonly body: ChatBody
  readonly answerBytesMax: number
  readonly stall: StallGuard
  readonly signal: AbortSignal
}

async function* withFirst<T>(first: IteratorResult<T, unknown>, rest: AsyncGenerator<T>): AsyncGenerator<T> {
  try {
    if (first.done === true) return
    yield first.value
    yield* rest
  } finally {
    await rest.return(undefined)
  }
}

/** The `data` of the events, once the first is there. */
export const openStream = async ({
  client,
  body,
  answerBytesMax,
  stall,
  signal,
}: StreamOpening): Promise<AsyncGenerator<string>> => {
  const streamed = { ...body, stream: true, stream_options: { include_usage: true } } as const
  const options = { signal, ...answerUpTo(answerBytesMax) }
  const response = await stall.during(client.openai.chat.completions.create(streamed, options).asResponse())
  const isEventStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true
  if (!isEventStream || response.body === null) throw inferenceMisbehaved('something that is not a stream of events')
  const data = stall.watch(readServerSentEvents(response.body))
  return withFirst(await data.next(), data)
}
