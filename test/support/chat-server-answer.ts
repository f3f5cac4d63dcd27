/** What the stand-in answers, in the shapes that were recorded from vLLM 0.32 (test/fixtures/vllm). */
import { endId, logprobOf, piecesOf, type Vocabulary } from './chat-server-tokens.ts'

export type ScriptedReply = {
  readonly text?: string
  readonly reasoning?: string
  readonly toolCalls?: readonly { readonly name: string; readonly arguments: string | object }[]
  /** In place of what follows from the answer. */
  readonly finishReason?: string
}

type Piece = { readonly kind: 'reasoning' | 'text' | 'call'; readonly text: string; readonly callIndex: number }
type Token = Piece & { readonly id: number }

export type Answer = {
  readonly id: string
  readonly model: string
  readonly tokens: readonly Token[]
  readonly toolCalls: readonly ToolCall[]
  readonly finishReason: string
  readonly promptIds: readonly number[]
  readonly cachedTokens: number
}

type ToolCall = {
  readonly id: string
  readonly type: 'function'
  readonly function: { readonly name: string; readonly arguments: string }
}

export type AnswerOptions = {
  readonly model: string
  readonly vocabulary: Vocabulary
  readonly promptIds: readonly number[]
  readonly cachedTokens: number
  readonly tokensMax: number
  readonly stop: readonly string[]
  readonly serial: number
}

const cutAtStop = (text: string, stop: readonly string[]): string => {
  const places = stop.map((word) => text.indexOf(word)).filter((place) => place >= 0)
  return places.length === 0 ? text : text.slice(0, Math.min(...places))
}

const toolCallsOf = ({ toolCalls = [] }: ScriptedReply, serial: number): readonly ToolCall[] =>
  toolCalls.map(({ name, arguments: args }, index) => ({
    id: `chatcmpl-tool-${serial}-${index}`,
    type: 'function',
    function: { name, arguments: typeof args === 'string' ? args : JSON.stringify(args) },
  }))

const piecesOfReply = (reply: ScriptedReply, toolCalls: readonly ToolCall[], stop: readonly string[]): Piece[] => {
  const raw = ({ function: { name, arguments: args } }: ToolCall) =>
    `<tool_call> {"name": "${name}", "arguments": ${args} } </tool_call>`
  const pieces = (kind: Piece['kind'], text: string, callIndex = 0) =>
    piecesOf(text).map((piece) => ({ kind, text: piece, callIndex }))
  return [
    ...pieces('reasoning', reply.reasoning ?? ''),
    ...pieces('text', cutAtStop(reply.text ?? '', stop)),
    ...toolCalls.flatMap((call, index) => pieces('call', raw(call), index)),
  ]
}

/** A call that `max_tokens` cuts comes as text, as with vLLM. */
export const answerOf = (reply: ScriptedReply, options: AnswerOptions): Answer => {
  const { vocabulary, tokensMax, promptIds, cachedTokens, model, serial } = options
  const toolCalls = toolCallsOf(reply, serial)
  const end: Token = { kind: 'text', text: '', callIndex: 0, id: endId }
  const whole = piecesOfReply(reply, toolCalls, options.stop).map((piece) => ({
    ...piece,
    id: vocabulary.idOf(piece.text),
  }))
  const isCut = whole.length + 1 > tokensMax
  const asText = (token: Token): Token => (token.kind === 'call' ? { ...token, kind: 'text' } : token)
  const said = toolCalls.length > 0 ? 'tool_calls' : 'stop'
  return {
    ...{ id: `chatcmpl-${serial}`, model, promptIds, cachedTokens },
    tokens: isCut ? whole.slice(0, tokensMax).map(asText) : [...whole, end],
    toolCalls: isCut ? [] : toolCalls,
    finishReason: reply.finishReason ?? (isCut ? 'length' : said),
  }
}

const textOf = ({ tokens }: Answer, kind: Piece['kind']): string | null => {
  const text = tokens.flatMap((token) => (token.kind === kind ? [token.text] : [])).join('')
  return text === '' ? null : text
}

const logprobsOf = (tokens: readonly Token[]) => ({
  content: tokens.map(({ id, text }) => ({
    ...{ token: id === endId ? '<|im_end|>' : text, logprob: logprobOf(id) },
    ...{ bytes: [...Buffer.from(text)], top_logprobs: [] },
  })),
})

const usageOf = ({ promptIds, tokens, cachedTokens }: Answer) => ({
  prompt_tokens: promptIds.length,
  total_tokens: promptIds.length + tokens.length,
  completion_tokens: tokens.length,
  prompt_tokens_details: { cached_tokens: cachedTokens },
})

const created = 1_795_343_101

export const completionOf = (answer: Answer) => ({
  ...{ id: answer.id, object: 'chat.completion', created, model: answer.model },
  choices: [
    {
      index: 0,
      message: {
        ...{ role: 'assistant', content: textOf(answer, 'text'), refusal: null, function_call: null },
        ...(answer.toolCalls.length === 0 ? {} : { tool_calls: answer.toolCalls }),
        reasoning: textOf(answer, 'reasoning'),
      },
      logprobs: logprobsOf(answer.tokens),
      ...{ finish_reason: answer.finishReason, stop_reason: null, token_ids: answer.tokens.map(({ id }) => id) },
    },
  ],
  usage: usageOf(answer),
  prompt_token_ids: answer.promptIds,
})

/** Of a call: its name with the first of its tokens, its arguments in pieces with the others. */
const callDelta = ({ tokens, toolCalls }: Answer, token: Token) => {
  const index = token.callIndex
  const own = tokens.filter((other) => other.kind === 'call' && other.callIndex === index)
  const place = own.indexOf(token)
  const call = toolCalls[index]
  if (place === 0) return { index, id: call?.id, type: 'function', function: { name: call?.function.name } }
  const text = call?.function.arguments ?? ''
  const cut = (part: number) => Math.floor((part * text.length) / (own.length - 1))
  return { index, function: { arguments: text.slice(cut(place - 1), cut(place)) } }
}

const deltaOf = (answer: Answer, token: Token) => {
  if (token.id === endId) return {}
  if (token.kind === 'call') return { content: null, tool_calls: [callDelta(answer, token)] }
  return token.kind === 'reasoning' ? { reasoning: token.text } : { content: token.text }
}

/** The role first, with the ids of the prompt; a chunk a token; the usage last. */
export const chunksOf = (answer: Answer): readonly object[] => {
  const frame = { id: answer.id, object: 'chat.completion.chunk', created, model: answer.model }
  const role = { index: 0, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }
  const last = answer.tokens.at(-1)
  return [
    { ...frame, choices: [role], prompt_token_ids: answer.promptIds },
    ...answer.tokens.map((token) => ({
      ...frame,
      choices: [
        {
          ...{ index: 0, delta: deltaOf(answer, token), logprobs: logprobsOf([token]), token_ids: [token.id] },
          finish_reason: token === last ? answer.finishReason : null,
        },
      ],
    })),
    { ...frame, choices: [], usage: usageOf(answer) },
  ]
}
