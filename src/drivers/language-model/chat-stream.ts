/**
 * Puts a streamed reply together. vLLM's chunks: the first has the role and, at its top, the ids of the prompt; then
 * pieces of text, reasoning and calls with their ids and log-probabilities; the last of them has the finish reason; then
 * one with no choice and the usage; then `[DONE]`. A fault after the start comes as an event with an `error`.
 */
import type { ChatEvent, ChatReply } from '../../ports/language-model.ts'
import { isAppError } from '../../shared/errors.ts'
import { isJsonObject } from '../../shared/json-limits.ts'
import { ensureModel, parseJson, type ReplyContext, toReply } from './chat-reply.ts'
import { inferenceMisbehaved, inferenceUnavailable } from './inference-errors.ts'
import { type Fields, fieldsOf, logprobsOf, reasoningOf, textOf, tokenIdsOf, toolCallsOf } from './reply-fields.ts'

const doneMark = '[DONE]'

type GrowingCall = { id: string; name: string; arguments: string }

const createGrowingCalls = () => {
  const calls = new Map<number, GrowingCall>()
  return {
    add: (pieces: unknown): void => {
      if (pieces === undefined || pieces === null) return
      if (!Array.isArray(pieces)) throw inferenceMisbehaved('tool calls of a wrong type')
      for (const piece of pieces) {
        const { index, id, function: called } = fieldsOf(piece, 'tool calls of a wrong type')
        if (typeof index !== 'number') throw inferenceMisbehaved('tool calls of a wrong type')
        const { name, arguments: more } = isJsonObject(called) ? called : {}
        const call = calls.get(index) ?? { id: '', name: '', arguments: '' }
        call.id ||= textOf(id)
        call.name ||= textOf(name)
        call.arguments += textOf(more)
        calls.set(index, call)
      }
    },
    all: () => {
      const inOrder = [...calls].sort(([one], [other]) => one - other)
      return toolCallsOf(inOrder.map(([, { id, ...called }]) => ({ id, function: called })))
    },
  }
}

/** A server that gives no ids sends about a token a chunk. */
export type OnChunk = (chunk: { readonly promptTokens: number | null; readonly completionTokens: number }) => void

const createAnswer = (context: ReplyContext, onChunk: OnChunk) => {
  const toolCalls = createGrowingCalls()
  const [texts, reasonings]: [string[], string[]] = [[], []]
  const [tokenIds, logprobs]: [number[], number[]] = [[], []]
  let promptTokenIds: readonly number[] | null = null
  let finishReason: unknown = null
  let usage: unknown

  const addChoice = (choice: Fields): readonly ChatEvent[] => {
    const delta = fieldsOf(choice.delta, 'a chunk without a delta')
    const [text, reasoning] = [textOf(delta.content), reasoningOf(delta)]
    texts.push(text)
    reasonings.push(reasoning)
    toolCalls.add(delta.tool_calls)
    const ids = tokenIdsOf(choice.token_ids)
    for (const id of ids ?? []) tokenIds.push(id)
    for (const logprob of logprobsOf(choice.logprobs) ?? []) logprobs.push(logprob)
    finishReason = choice.finish_reason ?? finishReason
    onChunk({ promptTokens: promptTokenIds?.length ?? null, completionTokens: ids?.length ?? 1 })
    return [
      ...(reasoning === '' ? [] : [{ kind: 'reasoning', text: reasoning } as const]),
      ...(text === '' ? [] : [{ kind: 'text', text } as const]),
    ]
  }

  return {
    add: (chunk: Fields): readonly ChatEvent[] => {
      if (chunk.error !== undefined) throw inferenceUnavailable('The model server broke off its answer. Try again.')
      ensureModel(chunk.model, context.model)
      if (!Array.isArray(chunk.choices)) throw inferenceMisbehaved('a chunk without choices')
      promptTokenIds ??= tokenIdsOf(chunk.prompt_token_ids)
      usage = chunk.usage ?? usage
      const [choice] = chunk.choices
      return choice === undefined ? [] : addChoice(fieldsOf(choice, 'a choice of a wrong type'))
    },
    reply: (): ChatReply => {
      const answer = { text: texts.join(''), reasoning: reasonings.join(''), toolCalls: toolCalls.all() }
      const ids = {
        tokenIds: tokenIds.length === 0 ? null : tokenIds,
        logprobs: logprobs.length === 0 ? null : logprobs,
      }
      return toReply({ ...answer, ...ids, promptTokenIds, finishReason, usage }, context)
    },
  }
}

/**
 * The events of a reply from the `data` of server-sent events; the last is the reply itself. Asked for more, it reads the
 * stream to its end, so that the connection can serve again.
 * @throws AppError `inference.misbehaved`; `inference.unavailable` when the stream ends before the reply does
 */
export async function* readChatStream(
  data: AsyncIterable<string>,
  context: ReplyContext,
  onChunk: OnChunk = () => {},
): AsyncGenerator<ChatEvent> {
  const answer = createAnswer(context, onChunk)
  let isDone = false
  try {
    for await (const text of data) {
      if (isDone) continue
      isDone = text === doneMark
      if (isDone) yield { kind: 'reply', reply: answer.reply() }
      else yield* answer.add(fieldsOf(parseJson(text), 'an event that is no chunk'))
    }
  } catch (error) {
    if (!isDone || isAppError(error)) throw error
  }
  if (!isDone) throw inferenceUnavailable('The model server ended its answer too early. Try again.')
}
