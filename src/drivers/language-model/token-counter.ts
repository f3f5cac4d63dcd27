/**
 * Counts of prompts by the server, remembered: a context is counted again and again while it grows. The least recently
 * used leave first. Prompts that are being counted are waited for, not sent twice, by a call that nobody's signal ends.
 *
 * Entries are found by SHA-256 and hold the count alone. A count is a function of the prompt and the model, so tenants may
 * share entries: what a tenant gets is what it would get anyway.
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { ChatRequest } from '../../ports/language-model.ts'
import { untilAborted } from '../../shared/until-aborted.ts'

export type Prompt = Pick<ChatRequest, 'messages' | 'tools'>
/** With whose it is: tenants take turns at counting. */
export type OwnedPrompt = Omit<ChatRequest, 'sampling'>

export type TokenCounter = {
  /** The count if it is remembered. */
  find(prompt: Prompt): number | null
  /** @throws what counting throws; the signal's reason when it aborts */
  count(prompt: OwnedPrompt, signal: AbortSignal): Promise<number>
  clear(): void
}

export type TokenCounterOptions = {
  readonly entriesMax: number
  /** Asks the server, in bounded time. */
  readonly ask: (prompt: Prompt, tenantId: string) => Promise<number>
}

/** Not canonical JSON: templates write members in the order in which they come. */
const keyOf = ({ messages, tools }: Prompt): string =>
  createHash('sha256')
    .update(JSON.stringify([messages, tools]))
    .digest('base64')

export const createTokenCounter = ({ entriesMax, ask }: TokenCounterOptions): TokenCounter => {
  const counts = new LRUCache<string, number>({ max: entriesMax })
  const underway = new Map<string, Promise<number>>()

  const askOnce = (key: string, prompt: OwnedPrompt): Promise<number> => {
    const shared =
      underway.get(key) ??
      ask(prompt, prompt.tenantId)
        .then((count) => {
          counts.set(key, count)
          return count
        })
        .finally(() => underway.delete(key))
    underway.set(key, shared)
    return shared
  }

  return {
    find: (prompt) => counts.get(keyOf(prompt)) ?? null,
    count: async (prompt, signal) => {
      signal.throwIfAborted()
      const key = keyOf(prompt)
      return counts.get(key) ?? untilAborted(askOnce(key, prompt), signal)
    },
    clear: () => counts.clear(),
  }
}
