/** The small exchanges beside the generations: what is served, counts of tokens, health. Each in bounded time. */
import { createFairSlots } from '../../shared/fair-slots.ts'
import type { Lifetime } from '../calls/lifetime.ts'
import type { Exchange } from './exchange.ts'
import { inferenceMisbehaved, inferenceUnavailable } from './inference-errors.ts'
import { openCall } from './model-call.ts'
import { fieldsOf } from './reply-fields.ts'
import type { Prompt } from './token-counter.ts'
import { answerUpTo, type VllmClient } from './vllm-client.ts'

const contactTimeoutMs = 10_000
const healthTimeoutMs = 5_000
/** Counts under way at once, of all tenants and of one, and those that wait. */
const countsMax = 16
const countsPerTenantMax = 8
const countsWaitingMax = 1_024
/** The server tells the id of each token; a token is a byte at least. */
const bytesPerPromptByte = 12
const frameBytes = 1_048_576

export type Contact = {
  /** Body of `/v1/models`. */
  listModels(): Promise<unknown>
  countTokens(prompt: Prompt, tenantId: string): Promise<number>
  /** @throws AppError when the server is not well */
  ensureHealthy(signal: AbortSignal | undefined): Promise<void>
}

export type ContactOptions = {
  readonly client: VllmClient
  readonly model: string
  readonly exchange: Exchange
  readonly lifetime: Lifetime
  readonly timeoutMs: number
}

type Bounds = { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined }

export const createContact = ({ client, model, exchange, lifetime, timeoutMs }: ContactOptions): Contact => {
  const { openai, endpoint } = client
  const counting = createFairSlots({
    ...{ runningMax: countsMax, runningPerTenantMax: countsPerTenantMax, waitingMax: countsWaitingMax },
    turnedAway: (retryAfterSeconds) =>
      inferenceUnavailable('Too many prompts wait to be counted. Try again later.', { retryAfterSeconds }),
  })
  const shortMs = Math.min(timeoutMs, contactTimeoutMs)

  const ask = async <T>(send: (signal: AbortSignal) => Promise<T>, bounds: Bounds): Promise<T> => {
    const call = openCall({ lifetime, signal: bounds.signal, timeoutMs: bounds.timeoutMs })
    try {
      return await exchange(send, call)
    } catch (error) {
      throw call.failureOf(error)
    } finally {
      call.end()
    }
  }

  const countTokens = async ({ messages, tools }: Prompt): Promise<number> => {
    const body = { model, messages, ...(tools.length === 0 ? {} : { tools }), add_generation_prompt: true }
    const answer = answerUpTo(frameBytes + Buffer.byteLength(JSON.stringify(body)) * bytesPerPromptByte)
    const send = (signal: AbortSignal) => openai.post<unknown>(endpoint('/tokenize'), { body, signal, ...answer })
    const { count } = fieldsOf(await ask(send, { timeoutMs: shortMs }), 'something that is not a count of tokens')
    if (!Number.isSafeInteger(count) || Number(count) < 0)
      throw inferenceMisbehaved('something that is not a count of tokens')
    return Number(count)
  }

  return {
    listModels: () => ask((signal) => openai.get<unknown>('/models', { signal }), { timeoutMs: shortMs }),
    countTokens: (prompt, tenantId) => counting.use(tenantId, () => countTokens(prompt)),
    ensureHealthy: async (signal) => {
      const bounds = { timeoutMs: healthTimeoutMs, signal }
      await ask((ending) => openai.get<unknown>(endpoint('/health'), { signal: ending }), bounds)
    },
  }
}
