/**
 * Counts of prompts by the server, remembered: a context is counted again and again while it grows. The least recently
 * used leave first. Prompts that are being counted are waited for, not sent twice, by a call that nobody's signal ends.
 *
 * Entries are found by SHA-256 and hold the count alone. A count is a function of the prompt and the model, so tenants may
 * share entries: what a tenant gets is what it would get anyway.
 */
import { createHash } from 'node:crypto'
import type { ChatRequest } from '../../ports/language-model.ts'
import { untilAborted } from '../calls/until-aborted.ts'

export type Prompt = Pick<ChatRequest, 'messages' | 'tools'>

export type TokenCounter = {
  /** The count if it is remembered. */
  find(prompt: Prompt): number | null
  /** @throws what counting throws; the signal's reason when it aborts */
  count(prompt: Prompt, signal: AbortSignal): Promise<number>
  clear(): void
}

export type TokenCounterOptions = {
  readonly entriesMax: number
  /** Asks the server, in bounded time. */
  readonly ask: (prompt: Prompt) => Promise<number>
}

/** Not canonical JSON: templates write members in the order in which they come. */
const keyOf = ({ messages, tools }: Prompt): string =>
  createHash('sha256')
    .update(JSON.stringify([messages, tools]))
    .digest('base64')

export const createTokenCounter = ({ entriesMax, ask }: TokenCounterOptions): TokenCounter => {
  const counts = new Map<string, number>()
  const underway = new Map<string, Promise<number>>()

  const remember = (key: string, count: number): void => {
    counts.delete(key)
    counts.set(key, count)
    for (const oldest of counts.keys()) {
      if (counts.size <= entriesMax) break
      counts.delete(oldest)
    }
  }

  const findByKey = (key: string): number | null => {
    const count = counts.get(key)
    if (count === undefined) return null
    remember(key, count)
    return count
  }

  const askOnce = (key: string, prompt: Prompt): Promise<number> => {
    const shared =
      underway.get(key) ??
      ask(prompt)
        .then((count) => {
          remember(key, count)
          return count
        })
        .finally(() => underway.delete(key))
    underway.set(key, shared)
    return shared
  }

  return {
    find: (prompt) => findByKey(keyOf(prompt)),
    count: async (prompt, signal) => {
      signal.throwIfAborted()
      const key = keyOf(prompt)
      return findByKey(key) ?? untilAborted(askOnce(key, prompt), signal)
    },
    clear: () => counts.clear(),
  }
}
