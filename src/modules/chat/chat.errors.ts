import { AppError } from '../../shared/errors.ts'

export const sessionHeaderMissing = () =>
  new AppError({
    code: 'chat.session_missing',
    status: 400,
    detail:
      'Name the session that the chat belongs to in the header AgeMem-Session; OpenAI clients take it as a default header. With AgeMem-Agent beside it, the session is created on first use.',
    errors: [{ pointer: '/headers/agemem-session', detail: 'is missing' }],
  })

export const agentMismatch = () =>
  new AppError({
    code: 'chat.agent_mismatch',
    status: 409,
    detail:
      'The session belongs to another agent than the header AgeMem-Agent names. Name another session, or no agent.',
    errors: [{ pointer: '/headers/agemem-agent', detail: "is not the session's agent" }],
  })

export const modelNotFound = (served: string) =>
  new AppError({
    code: 'chat.model_not_found',
    status: 404,
    detail: `This service serves the model ${served}, also by the name agemem, and no other.`,
    errors: [{ pointer: '/model', detail: 'is not served here' }],
  })

/** `pointer` names the field, `detail` what would be lost if it were ignored. */
export const unsupportedField = (pointer: string, detail: string) =>
  new AppError({
    code: 'chat.unsupported_field',
    status: 422,
    detail: `The request asks for something that this service cannot do: ${pointer} ${detail}`,
    errors: [{ pointer, detail }],
  })
