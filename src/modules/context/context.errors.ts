import { AppError, type FieldError } from '../../shared/errors.ts'
import type { Refusal, RefusalCode } from './context-types.ts'

const statusOf: Record<RefusalCode, number> = {
  'context.nothing_to_summarize': 422,
  'context.summary_empty': 422,
  'context.summary_not_shorter': 422,
  'context.edit_already_undone': 409,
  'context.edit_depended_on': 409,
  'context.undo_not_undoable': 409,
  'context.orphan_tool_result': 422,
}

/** A planner's refusal as the error that a client sees. */
export const refused = ({ code, detail }: Refusal) => new AppError({ code, status: statusOf[code], detail })

export const contextConflict = () =>
  new AppError({
    code: 'context.version_conflict',
    status: 409,
    retryable: true,
    detail:
      'The messages of the edit changed while it was prepared, so nothing was edited. Read the context and call again.',
  })

export const contextVersionMismatch = (version: number) =>
  new AppError({
    code: 'context.version_mismatch',
    status: 412,
    detail: `The context is at version ${version} now, which If-Match does not name. Read it again and repeat the change with its ETag.`,
  })

export const editNotFound = () =>
  new AppError({ code: 'context.edit_not_found', status: 404, detail: 'The session has no edit with that id.' })

export const messageNotFound = () =>
  new AppError({ code: 'message.not_found', status: 404, detail: 'The session has no message with that id.' })

export const messageTooLarge = (bytesMax: number) =>
  new AppError({
    code: 'message.too_large',
    status: 422,
    detail: `The content of a message must not be larger than ${bytesMax} bytes as UTF-8. Split it.`,
  })

export const messageInvalid = (errors: readonly FieldError[]) =>
  new AppError({
    code: 'message.invalid',
    status: 422,
    detail: 'A message has fields that no chat endpoint takes with its role. Mend those named in errors.',
    errors,
  })

export const messageNotInContext = () =>
  new AppError({
    code: 'message.not_in_context',
    status: 409,
    detail: 'The message has left the context, so it cannot be pinned. Undo the edit that took it out first.',
  })

export const contextTooLarge = (bytesMax: number) =>
  new AppError({
    code: 'context.too_large',
    status: 413,
    detail: `The context would take more than ${bytesMax} bytes. Summarise or filter it, reset it, or append less.`,
  })
