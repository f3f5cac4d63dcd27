/**
 * The `data` of each server-sent event, in order. The OpenAI client reads these streams too, but hides whether the
 * closing `[DONE]` came, and prints what it cannot parse. Each byte is looked at once, however it was cut into pieces.
 */
import { inferenceMisbehaved } from './inference-errors.ts'

/** An event of a chat is a few tokens; the largest carries the ids of a whole prompt. */
const eventCharsMax = 16 * 1_024 * 1_024

const createEventReader = () => {
  let data: string[] = []
  let linePieces: string[] = []
  let eventChars = 0

  /** The data of the event that the line ends; null while it goes on. */
  const endLine = (): string | null => {
    const line = linePieces.join('').replace(/\r$/, '')
    linePieces = []
    if (line.startsWith('data:')) data.push(line.slice('data:'.length).replace(/^ /, ''))
    return line === '' ? endEvent() : null
  }

  const endEvent = (): string | null => {
    const text = data.join('\n')
    data = []
    eventChars = 0
    return text === '' ? null : text
  }

  return {
    /** @throws AppError `inference.misbehaved` on an event without end */
    read: (text: string): readonly string[] => {
      const events: string[] = []
      for (const [at, piece] of text.split('\n').entries()) {
        const event = at === 0 ? null : endLine()
        if (event !== null) events.push(event)
        linePieces.push(piece)
        eventChars += piece.length
        if (eventChars > eventCharsMax) throw inferenceMisbehaved('an event without end')
      }
      return events
    },
    /** What stands at the end without an empty line behind it. */
    last: (): string | null => endLine() ?? endEvent(),
  }
}

/** @throws AppError `inference.misbehaved` on an event without end; what the body throws when it breaks off */
export async function* readServerSentEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  const reader = createEventReader()
  for await (const bytes of body) yield* reader.read(decoder.decode(bytes, { stream: true }))
  const last = reader.last()
  if (last !== null) yield last
}
