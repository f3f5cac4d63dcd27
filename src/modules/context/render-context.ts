/**
 * The context as an OpenAI-compatible chat endpoint takes it. Each message of the context is one rendered message in
 * the same order, which keeps the prefix stable for the server's cache; the only liberties are those the format
 * demands: tool results follow their call, and an abandoned call gets a stand-in result, since endpoints refuse a call
 * without one.
 *
 * A summary is rendered as a user message with a lead-in that names it. Templates that allow one system message only,
 * at the start, refuse a second one; an assistant message could be the first or last of the list, which templates
 * refuse or continue, and models copy its form. Strictly alternating templates are served by no role at all; merging
 * the summary into a neighbour would serve them, at the cost of the stable one-to-one order, and the templates of
 * current models accept neighbours of one role.
 */
import type { Context, ContextMessage, MessageRole, MessageToolCall } from './context-types.ts'
import { toolUnitsOf } from './tool-units.ts'

/** Fields as the wire names them. */
export type OpenAiMessage = {
  readonly role: MessageRole
  readonly content: string
  readonly name?: string
  readonly tool_calls?: readonly MessageToolCall[]
  readonly tool_call_id?: string
}

const summaryLeadIn = '[Summary of earlier messages, which it replaces]'
const missingResult = 'No result of this call was recorded.'

/** The text that the model reads; token counts are of this. */
export const renderContent = ({ kind, content }: Pick<ContextMessage, 'kind' | 'content'>): string =>
  kind === 'summary' ? `${summaryLeadIn}\n${content}` : content

const standIn = (toolCallId: string): OpenAiMessage => ({
  role: 'tool',
  content: missingResult,
  tool_call_id: toolCallId,
})

const renderMessage = (message: ContextMessage): OpenAiMessage => ({
  role: message.role,
  content: renderContent(message),
  ...(message.name === null ? {} : { name: message.name }),
  ...(message.toolCalls === null || message.toolCalls.length === 0 ? {} : { tool_calls: message.toolCalls }),
  ...(message.toolCallId === null ? {} : { tool_call_id: message.toolCallId }),
})

/**
 * Messages in OpenAI's chat form. Open calls at the very end are left open: their results are what the client appends
 * next. Stand-in results are in no token count: they are not messages of the context.
 */
export const renderContext = (context: Context): readonly OpenAiMessage[] => {
  const units = toolUnitsOf(context.messages)
  return units.flatMap(({ members, openCallIds }, index) => [
    ...members.map(renderMessage),
    ...(index === units.length - 1 ? [] : openCallIds.map(standIn)),
  ])
}
