/**
 * What of the messages a summary may say. A summary outlives what it was made of, so it quotes only what stays true by
 * itself: what was said, and what the client's own tools answered, as text. It never quotes
 *
 * - what RETRIEVE showed, or what any of the service's tools answered: memory is kept up to date where it is, and a copy
 *   of it in a summary would bring back what was changed or deleted since. It can be retrieved again;
 * - calls: they say what was asked for, not what came out;
 * - what a model thought: that is no part of the conversation.
 */
import type { ContextMessage } from './context-types.ts'
import { brokenJsonPieces, findJson, jsonPieces } from './json-pieces.ts'
import { splitSentences } from './sentences.ts'

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

/** Long texts in JSON are cut into sentences like any other text; lines of fields stand as they are. */
const piecesOfJson = (value: unknown): readonly string[] => jsonPieces(value).flatMap(splitSentences)

/**
 * The text with what is worth reading of the JSON in it; a tool's may also be a line for each value, or broken off. What
 * looks like broken JSON where people talk is their text.
 */
const piecesOfText = (text: string, isToolResult: boolean): readonly string[] => {
  const found = findJson(text)
  if (found === null) return splitSentences(text)
  const { before, json, value, after } = found
  if (value !== undefined) return [...splitSentences(before), ...piecesOfJson(value), ...splitSentences(after)]
  if (!isToolResult) return splitSentences(text)
  const lines = json.split('\n').filter((line) => line.trim() !== '')
  const read = lines.map((line) => findJson(line)?.value)
  if (read.every((entry) => entry !== undefined)) return [...splitSentences(before), ...read.flatMap(piecesOfJson)]
  const fields = brokenJsonPieces(json)
  return fields.length === 0 ? splitSentences(text) : [...splitSentences(before), ...fields.flatMap(splitSentences)]
}

const piecesOf = (message: SummarizableMessage): readonly string[] => {
  if (message.kind === 'summary') {
    const lines = message.content.replace(ownHeader, '').split('\n')
    const kept = lines.filter((line) => !line.startsWith(memoryNotePrefix)).join('\n')
    return splitSentences(kept).map((text) => text.replace(/^- /, ''))
  }
  const text = message.role === 'assistant' ? spokenText(message.content) : message.content
  return piecesOfText(text, message.role === 'tool')
}

const speakerOf = ({ role, name, kind }: SummarizableMessage, toolName: string | null): string => {
  if (kind === 'summary') return ''
  const called = name ?? toolName
  return called === null ? role : `${role} ${called}`
}

/** Of each message what may be quoted, in order. A result without a name has that of the call it answers. */
export const quotableTexts = (messages: readonly SummarizableMessage[]): readonly Quotable[] => {
  const nameByCallId = new Map<string, string>()
  return messages.map((message) => {
    for (const call of message.toolCalls ?? []) nameByCallId.set(call.id, call.function.name)
    const called = message.toolCallId === null ? null : (nameByCallId.get(message.toolCallId) ?? null)
    const isOwn = message.role === 'tool' && [message.name, called].some((name) => name !== null && isOwnTool(name))
    const isMemory = message.kind === 'recall' || message.recalledMemories.length > 0 || isOwn
    return { message, speaker: speakerOf(message, called), pieces: isMemory ? [] : piecesOf(message) }
  })
}
