/** Reads the fields that answers of vLLM have, trusting nothing in them. Each throws `inference.misbehaved`. */
import type { ChatUsage, FinishReason } from '../../ports/language-model.ts'
import type { ToolCallMessage } from '../../shared/chat.ts'
import { isJsonObject } from '../../shared/json-limits.ts'
import { inferenceMisbehaved, inferenceUnavailable } from './inference-errors.ts'

export type Fields = Readonly<Record<string, unknown>>

export const fieldsOf = (value: unknown, what: string): Fields => {
  if (!isJsonObject(value)) throw inferenceMisbehaved(what)
  return value
}

/** Absent and null are no text. */
export const textOf = (value: unknown): string => {
  if (value === undefined || value === null) return ''
  if (typeof value !== 'string') throw inferenceMisbehaved('a text of a wrong type')
  return value
}

/** Newer servers say `reasoning`, older ones and others `reasoning_content`. */
export const reasoningOf = (message: Fields): string => textOf(message.reasoning ?? message.reasoning_content)

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0

export const tokenIdsOf = (value: unknown): readonly number[] | null => {
  if (value === undefined || value === null) return null
  if (!Array.isArray(value) || !value.every(isCount)) throw inferenceMisbehaved('token ids of a wrong type')
  return value
}

/** Of `logprobs.content`: one entry a token. */
export const logprobsOf = (value: unknown): readonly number[] | null => {
  const content = isJsonObject(value) ? value.content : value
  if (content === undefined || content === null) return null
  if (!Array.isArray(content)) throw inferenceMisbehaved('log-probabilities of a wrong type')
  return content.map((entry: unknown) => {
    const logprob = isJsonObject(entry) ? entry.logprob : undefined
    if (typeof logprob !== 'number') throw inferenceMisbehaved('log-probabilities of a wrong type')
    return logprob
  })
}

export const toolCallsOf = (value: unknown): readonly ToolCallMessage[] => {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw inferenceMisbehaved('tool calls of a wrong type')
  return value.map((call: unknown) => {
    const { id, function: called } = fieldsOf(call, 'tool calls of a wrong type')
    const { name, arguments: argumentText } = fieldsOf(called, 'tool calls of a wrong type')
    if (typeof id !== 'string' || typeof name !== 'string' || name === '' || typeof argumentText !== 'string')
      throw inferenceMisbehaved('tool calls of a wrong type')
    return { id, type: 'function', function: { name, arguments: argumentText } }
  })
}

export const usageOf = (value: unknown): ChatUsage => {
  const { prompt_tokens, completion_tokens, prompt_tokens_details } = fieldsOf(value, 'no usage')
  if (!isCount(prompt_tokens) || !isCount(completion_tokens)) throw inferenceMisbehaved('a usage of a wrong type')
  const cached = isJsonObject(prompt_tokens_details) ? prompt_tokens_details.cached_tokens : null
  return {
    promptTokens: prompt_tokens,
    completionTokens: completion_tokens,
    cachedTokens: isCount(cached) ? cached : null,
  }
}

/**
 * `tool_calls` if and only if there are calls and the answer is whole: a call that was asked for by name ends with `stop`.
 * What this version does not know counts as `stop`: the model ended, not its room.
 * @throws AppError `inference.unavailable` when the server gave the request up
 */
export const finishReasonOf = (value: unknown, toolCalls: readonly ToolCallMessage[]): FinishReason => {
  if (typeof value !== 'string') throw inferenceMisbehaved('no reason for the end of the answer')
  if (value === 'abort' || value === 'error')
    throw inferenceUnavailable('The model server gave the request up. Try again.')
  if (value === 'length') return 'length'
  return toolCalls.length > 0 ? 'tool_calls' : 'stop'
}
