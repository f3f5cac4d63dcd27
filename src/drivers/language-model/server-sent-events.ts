/**
 * The `data` of each server-sent event, in order. The OpenAI client reads these streams too, but hides whether the
 * closing `[DONE]` came, and prints what it cannot parse.
 */
import { inferenceMisbehaved } from './inference-errors.ts'

/** An event of a chat is a few tokens; the largest carries the ids of a whole prompt. */
const eventCharsMax = 16 * 1_024 * 1_024

const dataOf = (event: string): string =>
  event
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice('data:'.length).replace(/^ /, ''))
    .join('\n')

/** @throws AppError `inference.misbehaved` on an event without end; what the body throws when it breaks off */
export async function* readServerSentEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let pending = ''
  for await (const bytes of body) {
    pending += decoder.decode(bytes, { stream: true }).replaceAll('\r', '')
    const events = pending.split('\n\n')
    pending = events.pop() ?? ''
    if (pending.length > eventCharsMax) throw inferenceMisbehaved('an event without end')
    for (const event of events) {
      const data = dataOf(event)
      if (data !== '') yield data
    }
  }
  const last = dataOf(pending)
  if (last !== '') yield last
}
