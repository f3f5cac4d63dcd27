/** What is sent for a turn. Pure: the same request always makes the same body. */
import { createHmac } from 'node:crypto'
import type { ChatCompletionFunctionTool, ChatCompletionMessageParam } from 'openai/resources/chat/completions'
import type { ChatRequest, Sampling } from '../../ports/language-model.ts'
import { promptTooLong } from './inference-errors.ts'

/**
 * Fields that vLLM adds to OpenAI's. It ignores what it does not know, so a misspelt one would silently do nothing: the
 * tests hold these names to recorded requests.
 */
type VllmFields = {
  readonly return_token_ids: true
  readonly logprobs: true
  /** Separates the prefix caches of tenants, so that nobody learns from timing what others asked. */
  readonly cache_salt: string
}

export const cacheSaltOf = (saltSecret: string, tenantId: string): string =>
  createHmac('sha256', saltSecret).update(tenantId).digest('base64url')

/** Of a turn, whether it is streamed or not. */
export const chatBodyOf = ({ messages, tools, sampling }: ChatRequest, options: { model: string; salt: string }) => {
  const extra: VllmFields = { return_token_ids: true, logprobs: true, cache_salt: options.salt }
  return {
    model: options.model,
    // OpenAI's types tell messages apart by their role; the port's have one shape for all.
    messages: [...messages] as ChatCompletionMessageParam[],
    ...(tools.length === 0 ? {} : { tools: [...tools] as ChatCompletionFunctionTool[] }),
    temperature: sampling.temperature,
    top_p: sampling.topP,
    max_tokens: sampling.tokensMax,
    ...(sampling.seed === null ? {} : { seed: sampling.seed }),
    ...(sampling.stop.length === 0 ? {} : { stop: [...sampling.stop] }),
    ...extra,
  }
}

export type Room = {
  /** Null: not counted. */
  readonly promptTokens: number | null
  readonly windowTokens: number
}

/**
 * vLLM cuts prompt and answer to its window without a word, and refuses an answer longer than the window. So the answer
 * is asked for in the room that is left. @throws AppError `inference.prompt_too_long` when none is
 */
export const clampedSampling = (sampling: Sampling, { promptTokens, windowTokens }: Room): Sampling => {
  const roomTokens = windowTokens - (promptTokens ?? 1)
  if (roomTokens < 1) throw promptTooLong(windowTokens)
  return { ...sampling, tokensMax: Math.min(sampling.tokensMax, roomTokens) }
}

/** What a chat template adds on its own: roles, a default system prompt, the frame around tools. */
const templateTokensMax = 1_024

/**
 * False when prompt and answer fit the window for sure: a token is a byte of text at least, but for those that the
 * template adds. Counting a prompt that may not fit costs one exchange of milliseconds.
 */
export const mayNotFit = ({ messages, tools, sampling }: ChatRequest, windowTokens: number): boolean =>
  Buffer.byteLength(JSON.stringify([messages, tools])) + templateTokensMax + sampling.tokensMax > windowTokens
