/** Makes a reply of what the server said, whether in one piece or in many. */
import type { Logger } from 'pino'
import type { ChatReply } from '../../ports/language-model.ts'
import type { ToolCallMessage } from '../../shared/chat.ts'
import { toSafeText } from '../../shared/json-limits.ts'
import { inferenceMisbehaved } from './inference-errors.ts'
import {
  fieldsOf,
  finishReasonOf,
  logprobsOf,
  reasoningOf,
  textOf,
  tokenIdsOf,
  toolCallsOf,
  usageOf,
} from './reply-fields.ts'

export type ReplyContext = {
  /** That has to have answered. */
  readonly model: string
  readonly logger: Logger
}

/** An answer before it is checked as a whole. */
export type HeardAnswer = {
  readonly text: string
  readonly reasoning: string
  readonly toolCalls: readonly ToolCallMessage[]
  readonly finishReason: unknown
  readonly usage: unknown
  readonly promptTokenIds: readonly number[] | null
  readonly tokenIds: readonly number[] | null
  readonly logprobs: readonly number[] | null
}

/** The names are not repeated: what answers is not what was configured, and its name is anyone's text. */
export const ensureModel = (model: unknown, expected: string): void => {
  if (model !== expected) throw inferenceMisbehaved('the name of another model')
}

/**
 * Ids and log-probabilities are kept only when they are those of all tokens, since what is learnt from a part is wrong.
 * An answer is good without them, so a fault in their number is logged and no error.
 */
const trainableParts = (heard: HeardAnswer, promptTokens: number, completionTokens: number, logger: Logger) => {
  const { promptTokenIds, tokenIds, logprobs } = heard
  const isWhole = tokenIds?.length === completionTokens && logprobs?.length === completionTokens
  const isPromptWhole = promptTokenIds?.length === promptTokens
  const lengths = {
    ...{ promptTokens, promptTokenIds: promptTokenIds?.length, completionTokens },
    ...{ tokenIds: tokenIds?.length, logprobs: logprobs?.length },
  }
  if ((tokenIds !== null && logprobs !== null && !isWhole) || (promptTokenIds !== null && !isPromptWhole))
    logger.warn(lengths, 'the model server gave token ids or log-probabilities of other lengths; they are left out')
  return {
    promptTokenIds: isPromptWhole ? promptTokenIds : null,
    tokenIds: isWhole ? tokenIds : null,
    logprobs: isWhole ? logprobs : null,
  }
}

const toSafeCall = ({ id, type, function: { name, arguments: args } }: ToolCallMessage): ToolCallMessage => ({
  id: toSafeText(id),
  type,
  function: { name: toSafeText(name), arguments: toSafeText(args) },
})

/** @throws AppError `inference.misbehaved`, `inference.unavailable` */
export const toReply = (heard: HeardAnswer, { model, logger }: ReplyContext): ChatReply => {
  const usage = usageOf(heard.usage)
  return {
    text: toSafeText(heard.text),
    reasoning: heard.reasoning === '' ? null : toSafeText(heard.reasoning),
    toolCalls: heard.toolCalls.map(toSafeCall),
    finishReason: finishReasonOf(heard.finishReason, heard.toolCalls),
    model,
    usage,
    ...trainableParts(heard, usage.promptTokens, usage.completionTokens, logger),
  }
}

/** Reads the body of a reply that was not streamed. @throws AppError `inference.misbehaved`, `inference.unavailable` */
export const readReply = (body: unknown, context: ReplyContext): ChatReply => {
  const { model, choices, usage, prompt_token_ids } = fieldsOf(body, 'something that is not a chat completion')
  ensureModel(model, context.model)
  if (!Array.isArray(choices) || choices.length === 0) throw inferenceMisbehaved('no choice')
  const choice = fieldsOf(choices[0], 'a choice of a wrong type')
  const message = fieldsOf(choice.message, 'a choice without a message')
  const heard: HeardAnswer = {
    text: textOf(message.content),
    reasoning: reasoningOf(message),
    toolCalls: toolCallsOf(message.tool_calls),
    finishReason: choice.finish_reason,
    usage,
    promptTokenIds: tokenIdsOf(prompt_token_ids),
    tokenIds: tokenIdsOf(choice.token_ids),
    logprobs: logprobsOf(choice.logprobs),
  }
  return toReply(heard, context)
}

/** JSON of the server. @throws AppError `inference.misbehaved` */
export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    throw inferenceMisbehaved('something that is not JSON')
  }
}
