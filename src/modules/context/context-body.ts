import type { FieldError } from '../../shared/errors.ts'
import { toSnakeCase } from '../../shared/snake-case.ts'
import { messageBytesMax, type NewMessageBody } from '../session/session.schemas.ts'
import { messageInvalid, messageTooLarge } from './context.errors.ts'
import type { StoredMessage } from './context.repository.ts'
import type { StoredEdit } from './context-edit.repository.ts'
import type { NewMessage } from './plan-append.ts'

export const toMessageBody = (message: StoredMessage) => ({
  message_id: message.messageId,
  role: message.role,
  content: message.content,
  ...(message.name === null ? {} : { name: message.name }),
  ...(message.toolCalls === null ? {} : { tool_calls: message.toolCalls }),
  ...(message.toolCallId === null ? {} : { tool_call_id: message.toolCallId }),
  kind: message.kind,
  tokens: message.tokens,
  pinned: message.pinned,
  state: message.state,
  ...(message.editId === null ? {} : { edit_id: message.editId }),
  created_at: message.createdAt,
})

/** What the context would show to a chat endpoint, which would refuse all of it for this. */
const misplacedFields = (
  { role, tool_calls: calls = [], tool_call_id: callId }: NewMessageBody,
  pointer: string,
): readonly FieldError[] => [
  ...(calls.length > 0 && role !== 'assistant'
    ? [{ pointer: `${pointer}/tool_calls`, detail: 'belongs to messages of the assistant' }]
    : []),
  ...(callId !== undefined && role !== 'tool'
    ? [{ pointer: `${pointer}/tool_call_id`, detail: 'belongs to messages of a tool' }]
    : []),
  ...(new Set(calls.map(({ id }) => id)).size < calls.length
    ? [{ pointer: `${pointer}/tool_calls`, detail: 'must not hold two calls with one id' }]
    : []),
]

/** Whatever their size. @throws AppError `message.invalid` (422) with pointers below `pointer`, where the messages stand */
export const readMessageBodies = (bodies: readonly NewMessageBody[], pointer: string): readonly NewMessage[] =>
  bodies.map((body, index) => {
    const misplaced = misplacedFields(body, `${pointer}/${index}`)
    if (misplaced.length > 0) throw messageInvalid(misplaced)
    return {
      role: body.role,
      content: body.content ?? '',
      name: body.name,
      toolCalls: body.tool_calls,
      toolCallId: body.tool_call_id,
      pinned: body.pinned,
    }
  })

/** The message itself. @throws AppError `message.too_large` (422) */
export const ensureMessageFits = (message: NewMessage): NewMessage => {
  if (Buffer.byteLength(message.content) > messageBytesMax) throw messageTooLarge(messageBytesMax)
  return message
}

/** Messages to append. @throws AppError `message.invalid`, `message.too_large` (422) */
export const fromMessageBodies = (bodies: readonly NewMessageBody[], pointer: string): readonly NewMessage[] =>
  readMessageBodies(bodies, pointer).map(ensureMessageFits)

export const toEditBody = (edit: StoredEdit) => ({
  edit_id: edit.editId,
  kind: edit.kind,
  context_version: edit.contextVersion,
  message_ids: edit.removed.map(({ messageId }) => messageId),
  added_message_ids: edit.addedMessageIds,
  restored_message_ids: edit.restoredMessageIds,
  tokens_before: edit.tokensBefore,
  tokens_after: edit.tokensAfter,
  prefill_from_position: edit.prefillFromPosition,
  details: toSnakeCase(edit.details) as Record<string, unknown>,
  ...(edit.undoneBy === null ? {} : { undone_by: edit.undoneBy }),
  created_at: edit.createdAt,
})
