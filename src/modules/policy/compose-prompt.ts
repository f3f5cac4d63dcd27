/**
 * From a context to the messages that the model is sent. The order keeps the server's prefix cache warm: one system
 * message (the rules, then what the session's own system messages say), the context as it grew, and last the note on
 * the situation, which alone changes from turn to turn.
 *
 * In the `text` format calls and results are shown in the tags that the model itself writes, so that any chat template
 * will do; what a tool result or a memory says stands inside `<tool_response>` as JSON in which no tag can be closed.
 */
import type { ChatMessage, ChatTool } from '../../ports/language-model.ts'
import type { Context } from '../context/context-types.ts'
import { type OpenAiMessage, renderContext } from '../context/render-context.ts'
import { formatTools } from '../tool/tool-formats.ts'
import { type Situation, situationNote, systemPrompt } from './policy-prompt.ts'

export type Prompt = { readonly messages: readonly ChatMessage[]; readonly tools: readonly ChatTool[] }

const withoutTags = (text: string): string => text.replaceAll('<', '\\u003c')

const callText = ({ tool_calls: calls = [], content }: OpenAiMessage): string => {
  const entries = calls.map(
    ({ function: { name, arguments: args } }) => `{"name":${JSON.stringify(name)},"arguments":${args}}`,
  )
  return [content, `<tool_call>${withoutTags(`[${entries.join(',')}]`)}</tool_call>`].filter(Boolean).join('\n')
}

/** One message as the tags show it; results of tools become the user's turn. */
const toText = (message: OpenAiMessage): ChatMessage => {
  if (message.role === 'tool')
    return { role: 'user', content: `<tool_response>${withoutTags(message.content)}</tool_response>` }
  if (message.role !== 'assistant') return { role: message.role, content: message.content }
  const isCalling = (message.tool_calls ?? []).length > 0
  return { role: 'assistant', content: isCalling ? callText(message) : `<answer>${message.content}</answer>` }
}

/** Neighbours of one of the roles become one message: templates that alternate strictly refuse two in a row. */
const joined = (messages: readonly ChatMessage[], roles: readonly ChatMessage['role'][]): readonly ChatMessage[] => {
  const result: ChatMessage[] = []
  for (const message of messages) {
    const last = result.at(-1)
    if (last !== undefined && last.role === message.role && roles.includes(message.role))
      result[result.length - 1] = { ...last, content: `${last.content}\n\n${message.content}` }
    else result.push(message)
  }
  return result
}

const nativeTools = (): readonly ChatTool[] =>
  formatTools('openai').map(({ type, function: { name, description, parameters } }) => ({
    type,
    function: { name, description, parameters: { ...parameters } },
  }))

export const composePrompt = (
  context: Context,
  { extraTools = [], ...situation }: Situation & { readonly extraTools?: readonly ChatTool[] },
): Prompt => {
  const messages = renderContext(context)
  const own = messages.filter(({ role }) => role === 'system').map(({ content }) => content)
  const system: ChatMessage = {
    role: 'system',
    content: [systemPrompt(situation.format, extraTools), ...own].join('\n\n'),
  }
  const rest = messages.filter(({ role }) => role !== 'system')
  const note: ChatMessage = { role: 'user', content: situationNote(situation) }
  if (situation.format === 'native')
    return { messages: [system, ...joined([...rest, note], ['user'])], tools: [...nativeTools(), ...extraTools] }
  return { messages: [system, ...joined([...rest.map(toText), note], ['user', 'assistant'])], tools: [] }
}
