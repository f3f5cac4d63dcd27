/**
 * A request of OpenAI's chat endpoint in the service's own words. Clients send many fields: what would change the meaning
 * of the answer and cannot be done is refused, the rest is ignored. docs/chat.md lists both.
 */
import type { ChatTool } from '../../ports/language-model.ts'
import { jsonPointer } from '../../shared/json-limits.ts'
import { readMessageBodies } from '../context/context-body.ts'
import type { NewMessage } from '../context/plan-append.ts'
import { fromSamplingBody, type PolicyDefaults } from '../policy/policy-body.ts'
import type { RunRequest } from '../policy/run-types.ts'
import type { NewMessageBody } from '../session/session.schemas.ts'
import { unsupportedField } from './chat.errors.ts'
import type { ChatCompletionBody, ChatMessageBody } from './chat.schemas.ts'

type Fields = Readonly<Record<string, unknown>>

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || value === false || Object.keys(value as object).length === 0

/** Why a field's value cannot be heeded; null when it asks for nothing. */
const refusals: Readonly<Record<string, (value: unknown) => string | null>> = {
  n: (value) => (value === 1 ? null : 'must be 1: a session has one answer.'),
  logprobs: (value) => (value === true ? 'must be false: an answer comes from several turns of the model.' : null),
  top_logprobs: (value) => (value === 0 ? null : 'must be absent, as logprobs.'),
  response_format: (value) =>
    (value as { type?: unknown }).type === 'text' ? null : 'must be text: the answer cannot be held to a schema.',
  tool_choice: (value) =>
    value === 'auto' || value === 'none'
      ? null
      : 'must be auto or none: the model also tends its memory, and cannot be held to one function.',
  modalities: (value) =>
    Array.isArray(value) && value.every((one) => one === 'text') ? null : 'must be ["text"]: there is text alone.',
  audio: () => 'must be absent: there is text alone.',
  functions: (value) => (isEmpty(value) ? null : 'is deprecated: give the functions as tools.'),
  function_call: (value) => (value === 'none' ? null : 'is deprecated: use tools and tool_choice.'),
  logit_bias: (value) => (isEmpty(value) ? null : 'must be empty.'),
  web_search_options: () => 'must be absent: there is no web search.',
}

const ensureSupported = (body: Fields): void => {
  for (const [name, refusalOf] of Object.entries(refusals)) {
    const value = body[name]
    const refusal = value === undefined || value === null ? null : refusalOf(value)
    if (refusal !== null) throw unsupportedField(`/${name}`, refusal)
  }
}

const textOf = (content: ChatMessageBody['content'], index: number): string => {
  if (typeof content === 'string') return content
  const parts = (content ?? []).map(({ type, text, refusal }, part) => {
    if (type === 'text' || type === 'refusal') return text ?? refusal ?? ''
    throw unsupportedField(jsonPointer(['messages', index, 'content', part]), 'must be text: there is text alone.')
  })
  return parts.join('\n')
}

const toToolCall = (call: NonNullable<ChatMessageBody['tool_calls']>[number], pointer: string) => {
  if (call.type !== 'function' || call.function === undefined) throw unsupportedField(pointer, 'must be a function.')
  const { name, arguments: args } = call.function
  return { id: call.id, type: 'function' as const, function: { name, arguments: args } }
}

const toMessageBody = (message: ChatMessageBody, index: number): NewMessageBody => {
  const { role, name, tool_calls: calls, tool_call_id: toolCallId } = message
  const pointer = jsonPointer(['messages', index, 'tool_calls'])
  return {
    role: role === 'developer' ? 'system' : role,
    content: textOf(message.content, index),
    ...(name ? { name } : {}),
    ...(calls && calls.length > 0 ? { tool_calls: calls.map((call) => toToolCall(call, pointer)) } : {}),
    ...(toolCallId ? { tool_call_id: toolCallId } : {}),
  }
}

const toTools = ({ tools, tool_choice: choice }: ChatCompletionBody): readonly ChatTool[] => {
  if (choice === 'none') return []
  return (tools ?? []).map((tool, index) => {
    if (tool.type !== 'function' || tool.function === undefined)
      throw unsupportedField(jsonPointer(['tools', index]), 'must be a function.')
    const { name, description, parameters } = tool.function
    return {
      type: 'function',
      function: { name, ...(description ? { description } : {}), ...(parameters ? { parameters } : {}) },
    }
  })
}

const samplingOf = (body: ChatCompletionBody, defaults: PolicyDefaults): RunRequest['sampling'] => {
  const { temperature, top_p, seed, stop } = body
  const tokensMax = body.max_completion_tokens ?? body.max_tokens
  const given = { temperature, top_p, seed, max_tokens: tokensMax, stop: typeof stop === 'string' ? [stop] : stop }
  const isGiven = ([, value]: [string, unknown]) => value !== undefined && value !== null
  return fromSamplingBody(Object.fromEntries(Object.entries(given).filter(isGiven)), defaults)
}

export type ChatRun = Omit<RunRequest, 'sessionId' | 'input'>

export type ReadChatRequest = {
  readonly model: string
  readonly messages: readonly NewMessage[]
  readonly isStreamed: boolean
  readonly wantsUsage: boolean
  readonly run: ChatRun
}

/** @throws AppError `chat.unsupported_field` (422) */
export const readChatRequest = (body: ChatCompletionBody, defaults: PolicyDefaults): ReadChatRequest => {
  ensureSupported(body)
  return {
    model: body.model,
    messages: readMessageBodies(body.messages.map(toMessageBody), '/messages'),
    isStreamed: body.stream === true,
    wantsUsage: body.stream_options?.include_usage === true,
    run: {
      mode: 'answer',
      turnsMax: defaults.turnsMax,
      turnsNow: defaults.turnsMax,
      deadlineMs: defaults.deadlineMs,
      sampling: samplingOf(body, defaults),
      format: defaults.format,
      clientTools: toTools(body),
    },
  }
}
