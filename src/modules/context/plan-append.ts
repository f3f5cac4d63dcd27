/**
 * Appending gives each message its sequence and its place at the end. A tool message must answer an open call of the
 * context, of an earlier message or of the same batch (C2); all else may be appended at any time. A batch goes in whole
 * or is refused whole.
 */
import type { CreateId } from '../../shared/ids.ts'
import type { Context, ContextMessage, CountTokens, MessageRole, MessageToolCall, Refusal } from './context-types.ts'
import { refuse } from './context-types.ts'
import { sumTokens } from './edit-cost.ts'
import { memoriesShownBy } from './shown-memories.ts'
import { createOpenCalls } from './tool-units.ts'

export type NewMessage = {
  readonly role: MessageRole
  readonly content: string
  readonly name?: string | null | undefined
  readonly toolCalls?: readonly MessageToolCall[] | null | undefined
  readonly toolCallId?: string | null | undefined
  readonly pinned?: boolean | undefined
}

export type AppendPlan = {
  readonly outcome: 'append'
  /** Complete rows, in order; the context's next version holds them. */
  readonly added: readonly ContextMessage[]
  readonly tokensAfter: number
}

const toMessage = (
  draft: NewMessage,
  { messageId, sequence, countTokens }: { messageId: string; sequence: number; countTokens: CountTokens },
): ContextMessage => ({
  messageId,
  role: draft.role,
  content: draft.content,
  name: draft.name ?? null,
  toolCalls: draft.toolCalls ?? null,
  toolCallId: draft.toolCallId ?? null,
  pinned: draft.pinned ?? false,
  tokens: countTokens({ ...draft, name: draft.name ?? null }),
  contextPosition: sequence,
  sequence,
  state: 'in_context',
  editId: null,
  kind: 'appended',
  recalledMemories: draft.role === 'tool' && draft.name === 'Retrieve_memory' ? memoriesShownBy(draft.content) : [],
})

export const planAppend = (
  context: Context,
  {
    messages,
    countTokens,
    createId,
  }: { readonly messages: readonly NewMessage[]; readonly countTokens: CountTokens; readonly createId: CreateId },
): AppendPlan | Refusal => {
  const added: ContextMessage[] = []
  const calls = createOpenCalls(context.messages)
  for (const [index, draft] of messages.entries()) {
    const answers = draft.role === 'tool' ? (draft.toolCallId ?? '') : null
    if (answers !== null && !calls.isOpen(answers)) {
      return refuse(
        'context.orphan_tool_result',
        `Message ${index} is a tool result, and the context holds no open tool call with its tool_call_id. Append the assistant message with that call first.`,
      )
    }
    const message = toMessage(draft, {
      messageId: createId('msg'),
      sequence: context.nextSequence + index,
      countTokens,
    })
    added.push(message)
    calls.add(message)
  }
  return { outcome: 'append', added, tokensAfter: context.tokens + sumTokens(added) }
}
