/**
 * What a chat message costs beside its content, as ChatML writes it (the template of the Qwen family): the start mark,
 * the role, a line break, the end mark and a line break make 5. Each tool call stands as `{"name": …, "arguments": …}`
 * between two marks with a line break after each, 4 more; a tool's result stands between two tags, 6 more. Other
 * templates differ by one or two tokens a message.
 */
import type { CountableMessage } from '../../ports/tokenizer.ts'

const messageTokens = 5
const toolCallTokens = 4
const toolResultTokens = 6

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

/** A call as the template writes it; what is no call of OpenAI's form counts as its JSON. */
const callText = (call: unknown): string => {
  const target = isRecord(call) && isRecord(call.function) ? call.function : null
  if (target === null) return JSON.stringify(call) ?? ''
  const text = typeof target.arguments === 'string' ? target.arguments : (JSON.stringify(target.arguments) ?? '')
  return `{"name": "${String(target.name)}", "arguments": ${text}}`
}

export const countChatMessage = (message: CountableMessage, countText: (text: string) => number): number => {
  const calls = Array.isArray(message.toolCalls) ? message.toolCalls : []
  const callTokens = calls.reduce((sum: number, call) => sum + toolCallTokens + countText(callText(call)), 0)
  const nameTokens = message.name ? countText(message.name) + 1 : 0
  const resultTokens = message.role === 'tool' ? toolResultTokens : 0
  return messageTokens + resultTokens + nameTokens + callTokens + countText(message.content)
}
