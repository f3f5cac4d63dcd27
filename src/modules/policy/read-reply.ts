/**
 * What a model said in one turn, from whichever wire format it came: the same step either way. A server may parse function
 * calls out of the text by itself, and a model may write tags although it was offered functions, so both are read.
 */
import type { ChatReply } from '../../ports/language-model.ts'
import type { ToolCallMessage } from '../../shared/chat.ts'
import { atOnce, type Steps } from '../../shared/yielding.ts'
import { openAiCallSteps } from '../tool/parse-openai-calls.ts'
import { outputSteps, type ParsedStep } from '../tool/parse-output.ts'
import type { WireFormat } from './policy-prompt.ts'
import type { ReadReply } from './run-state.ts'

const tag = /<\/?(?:think|tool_calls?|answer)>/gi
const thinkBlock = /<think>[\s\S]*?(?:<\/think>|$)/gi

const looseTextOf = (text: string): string | null => text.replace(thinkBlock, '').replace(tag, '').trim() || null

const joinThoughts = (...thoughts: readonly (string | null)[]): string | null =>
  thoughts.filter(Boolean).join('\n\n') || null

/**
 * Text without tags, or behind its thinking: an answer where functions are offered. Models that reason write `<think>` when
 * the server has no parser for it, or its end alone when the template has begun it.
 */
const readPlain = (text: string): ParsedStep | null => {
  const [, think = null, rest = text] = /^(?:\s*<think>)?([\s\S]*?)<\/think>([\s\S]*)$/i.exec(text) ?? []
  if (rest.trim() === '' || `${think}${rest}`.search(tag) !== -1) return null
  return { think: think?.trim() || null, answer: rest.trim(), calls: [], violations: [] }
}

function* readText(text: string, { format, callIdPrefix }: ReplyContext): Steps<ParsedStep> {
  const plain = format === 'native' ? readPlain(text) : null
  return plain ?? (yield* outputSteps(text, { callIdPrefix }))
}

export type ReplyContext = { readonly format: WireFormat; readonly callIdPrefix: string }

type Reply = Pick<ChatReply, 'text' | 'reasoning'> & { readonly toolCalls: readonly ToolCallMessage[] }

/** Reads a reply whose function calls, if any, are all of the six tools'. Never throws. */
export function* replySteps({ text, reasoning, toolCalls }: Reply, context: ReplyContext): Steps<ReadReply> {
  if (toolCalls.length > 0) {
    const step = yield* openAiCallSteps(toolCalls)
    return { ...step, think: joinThoughts(reasoning, looseTextOf(text)), looseText: null }
  }
  const step = yield* readText(text, context)
  return { ...step, think: joinThoughts(reasoning, step.think), looseText: looseTextOf(text) }
}

/** `replySteps` at once. */
export const readReply = (reply: Reply, context: ReplyContext): ReadReply => atOnce(replySteps(reply, context))
