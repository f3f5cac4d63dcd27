/**
 * What of the messages a summary may say. A summary outlives what it was made of, so it quotes only what stays true by
 * itself: what was said, and what the client's own tools answered, as text. It never quotes
 *
 * - what RETRIEVE showed, or what any of the service's tools answered: memory is kept up to date where it is, and a copy
 *   of it in a summary would bring back what was changed or deleted since. It can be retrieved again;
 * - calls: they say what was asked for, not what came out;
 * - what a model thought: that is no part of the conversation.
 */
import { cutText } from '../../shared/cut-text.ts'
import { atOnce, type Steps } from '../../shared/yielding.ts'
import type { ContextMessage } from './context-types.ts'
import { brokenJsonPieces, findJson, jsonPieces } from './json-pieces.ts'
import { sentenceSteps } from './sentences.ts'

export type SummarizableMessage = Pick<
  ContextMessage,
  'role' | 'name' | 'content' | 'kind' | 'toolCalls' | 'toolCallId' | 'recalledMemories' | 'contextPosition'
>

export type Quotable = {
  readonly message: SummarizableMessage
  /** Empty for an earlier summary, which names its speakers itself. */
  readonly speaker: string
  /** In order, none blank; none at all when the message may not be quoted. */
  readonly pieces: readonly string[]
}

export const memoryNotePrefix = '- memory: '

const ownTools = /^(?:(?:add|update|delete|retrieve)_memory|(?:summary|filter|clear)_context)$/i
const ownHeader = /^Summary of \d+ messages? \([#\d-]+\)\n?/

/** Is this the name of one of the six tools, by any of its names? */
export const isOwnTool = (name: string): boolean => ownTools.test(name.trim())

/** Without the blocks of that name. One that is never closed reaches to the end, one never opened from the start. */
const withoutBlocks = (text: string, name: 'think' | 'tool_call'): string => {
  const [open, close] = [`<${name}>`, `</${name}>`]
  const [before = '', ...blocks] = text.split(open)
  return [before.split(close).at(-1), ...blocks.map((block) => block.split(close).slice(1).join(' '))].join(' ')
}

const spokenText = (content: string): string =>
  withoutBlocks(withoutBlocks(content, 'think'), 'tool_call').replace(/<\/?answer>/g, ' ')

function* sentencesOfAll(texts: readonly string[]): Steps<string[]> {
  const pieces: string[] = []
  for (const text of texts) for (const piece of yield* sentenceSteps(text)) pieces.push(piece)
  return pieces
}

/** The values of lines of JSON; null as soon as one is none. */
function* valuesOfLines(json: string): Steps<readonly unknown[] | null> {
  const values: unknown[] = []
  for (const line of json.split('\n')) {
    if (line.trim() === '') continue
    const value = findJson(line)?.value
    if (value === undefined) return null
    values.push(value)
    yield
  }
  return values
}

/**
 * The text with what is worth reading of the JSON in it; a tool's may also be a line for each value, or broken off. What
 * looks like broken JSON where people talk is their text.
 */
function* piecesOfText(text: string, isToolResult: boolean): Steps<readonly string[]> {
  const found = findJson(text)
  if (found === null) return yield* sentenceSteps(text)
  const { before, json, value, after } = found
  // Long texts in JSON are cut into sentences like any other text; lines of fields stand as they are.
  if (value !== undefined) return yield* sentencesOfAll([before, ...jsonPieces(value), after])
  if (!isToolResult) return yield* sentenceSteps(text)
  const lines = yield* valuesOfLines(json)
  if (lines !== null) return yield* sentencesOfAll([before, ...lines.flatMap(jsonPieces)])
  const fields = brokenJsonPieces(json)
  return yield* sentencesOfAll(fields.length === 0 ? [text] : [before, ...fields])
}

function* piecesOf(message: SummarizableMessage): Steps<readonly string[]> {
  if (message.kind === 'summary') {
    const lines = message.content.replace(ownHeader, '').split('\n')
    const kept = lines.filter((line) => !line.startsWith(memoryNotePrefix)).join('\n')
    return (yield* sentenceSteps(kept)).map((text) => text.replace(/^- /, ''))
  }
  const text = message.role === 'assistant' ? spokenText(message.content) : message.content
  return yield* piecesOfText(text, message.role === 'tool')
}

const speakerOf = ({ role, name, kind }: SummarizableMessage, toolName: string | null): string => {
  if (kind === 'summary') return ''
  const called = name ?? toolName
  return called === null ? role : `${role} ${called}`
}

/**
 * Characters of a span that are read. A summary shows a hundred thousand at most, so of a longer span its longest messages
 * are read to the same bound each, and no message loses anything while another one keeps more.
 */
const readCharsMax = 1_048_576

/** The bound that lets all of these lengths together come to `total` at most. */
export const fairShareOf = (lengths: readonly number[], total: number): number => {
  let left = total
  for (const [index, length] of [...lengths].sort((one, other) => one - other).entries()) {
    const share = Math.floor(left / (lengths.length - index))
    if (length > share) return share
    left -= length
  }
  return Number.POSITIVE_INFINITY
}

/** Of each message what may be quoted, in order. A result without a name has that of the call it answers. */
export function* quotableSteps(messages: readonly SummarizableMessage[]): Steps<readonly Quotable[]> {
  const nameByCallId = new Map<string, string>()
  const lengths = messages.map(({ content }) => content.length)
  const charsMax = fairShareOf(lengths, readCharsMax)
  const quotables: Quotable[] = []
  for (const message of messages) {
    for (const call of message.toolCalls ?? []) nameByCallId.set(call.id, call.function.name)
    const called = message.toolCallId === null ? null : (nameByCallId.get(message.toolCallId) ?? null)
    const isOwn = message.role === 'tool' && [message.name, called].some((name) => name !== null && isOwnTool(name))
    const isMemory = message.kind === 'recall' || message.recalledMemories.length > 0 || isOwn
    const content = cutText(message.content, charsMax)
    const pieces = isMemory ? [] : yield* piecesOf({ ...message, content })
    quotables.push({ message, speaker: speakerOf(message, called), pieces })
    yield
  }
  return quotables
}

/** `quotableSteps` at once. */
export const quotableTexts = (messages: readonly SummarizableMessage[]): readonly Quotable[] =>
  atOnce(quotableSteps(messages))
