/** What a summary says of messages that it must not quote: that they were there, and how to have their content again. */

import { cutText } from '../../shared/cut-text.ts'
import { isOwnTool, memoryNotePrefix, type SummarizableMessage } from './quotable-text.ts'

const namesMax = 5
const nameCharsMax = 40

/** Names how many memories stood among the messages; null: none did. */
export const memoryNoteOf = (messages: readonly SummarizableMessage[]): string | null => {
  const count = new Set(messages.flatMap((message) => message.recalledMemories.map(({ memoryId }) => memoryId))).size
  if (count === 0) return null
  return `${memoryNotePrefix}${count === 1 ? '1 memory was' : `${count} memories were`} shown; retrieve again what matters.`
}

const callNoteOf = (messages: readonly SummarizableMessage[]): string | null => {
  const calls = messages.flatMap((message) => message.toolCalls ?? [])
  if (calls.length === 0) return null
  const names = [...new Set(calls.map((call) => cutText(call.function.name, nameCharsMax)))]
  const more = names.length > namesMax ? ' and others' : ''
  return `- nothing to quote: ${calls.length === 1 ? 'a call' : `${calls.length} calls`} of ${names.slice(0, namesMax).join(', ')}${more}.`
}

/** For a span in which nothing can be quoted: what to say under the header, from most to least. */
export const unquotedNotes = (messages: readonly SummarizableMessage[]): readonly (readonly string[])[] => {
  const [memories, calls] = [memoryNoteOf(messages), callNoteOf(messages)]
  const isOwnAlone = messages.every(({ toolCalls }) => (toolCalls ?? []).every((call) => isOwnTool(call.function.name)))
  const nothing = '- nothing to quote.'
  const short = (isOwnAlone ? memories : null) ?? calls ?? memories ?? nothing
  return [[calls, memories].filter((note) => note !== null), [short], [nothing]].filter((notes) => notes.length > 0)
}
