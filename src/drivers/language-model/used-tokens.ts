/**
 * What a call used that did not end with an answer: its caller went away, it missed its deadline, the server broke off.
 * The server's own count comes last and so is missing. What came is counted instead; of a whole answer nothing comes before
 * its end, so it counts as written at a steady pace until then. Told once, at the end of the call.
 */
import type { ChatRequest, ChatUsage } from '../../ports/language-model.ts'

/** Of one request, with many under way at the server: rather too little than too much. */
const tokensPerSecond = 20
/** Of text in most languages. */
const bytesPerToken = 4

export type UsedTokens = {
  /** The request leaves for the server. */
  sent(promptTokens: number | null, form: 'whole' | 'streamed'): void
  /** Of a chunk of a stream. */
  heard(chunk: { readonly promptTokens: number | null; readonly completionTokens: number }): void
  /** Nothing was used, or the reply tells what. */
  settled(): void
  end(): void
}

export const createUsedTokens = (
  { messages, tools, sampling }: ChatRequest,
  onUsage: (usage: ChatUsage) => void,
): UsedTokens => {
  let sentMs: number | null = null
  let isSettled = false
  let isStreamed = false
  let promptTokens: number | null = null
  let completionTokens = 0

  const written = (): number => {
    if (isStreamed || sentMs === null) return completionTokens
    return Math.min(sampling.tokensMax, Math.ceil(((performance.now() - sentMs) / 1_000) * tokensPerSecond))
  }

  return {
    sent: (counted, form) => {
      sentMs = performance.now()
      isStreamed = form === 'streamed'
      promptTokens = counted
    },
    heard: (chunk) => {
      promptTokens = chunk.promptTokens ?? promptTokens
      completionTokens += chunk.completionTokens
    },
    settled: () => {
      isSettled = true
    },
    end: () => {
      if (isSettled || sentMs === null) return
      isSettled = true
      const estimated = Math.ceil(Buffer.byteLength(JSON.stringify([messages, tools])) / bytesPerToken)
      onUsage({ promptTokens: promptTokens ?? estimated, completionTokens: written(), cachedTokens: null })
    },
  }
}
