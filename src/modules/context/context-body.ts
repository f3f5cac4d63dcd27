import { toSnakeCase } from '../../shared/snake-case.ts'
import { messageBytesMax, type NewMessageBody } from '../session/session.schemas.ts'
import { messageTooLarge } from './context.errors.ts'
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

/** The message itself. @throws AppError `message.too_large` (422) */
export const ensureMessageFits = (message: NewMessage): NewMessage => {
  if (Buffer.byteLength(message.content) > messageBytesMax) throw messageTooLarge(messageBytesMax)
  return message
}

/** @throws AppError `message.too_large` (422) */
export const fromMessageBody = (body: NewMessageBody): NewMessage =>
  ensureMessageFits({
    role: body.role,
    content: body.content ?? '',
    name: body.name,
    toolCalls: body.tool_calls,
    toolCallId: body.tool_call_id,
    pinned: body.pinned,
  })

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
