import { AppError } from '../../shared/errors.ts'

export const inferenceNotConfigured = () =>
  new AppError({
    code: 'inference.not_configured',
    status: 503,
    detail:
      'This service has no model. The operator names a vLLM server with AGEMEM_VLLM_URL and AGEMEM_VLLM_MODEL; memory, context and tools work without.',
  })

export const sessionBusy = () =>
  new AppError({
    code: 'session.busy',
    status: 409,
    retryable: true,
    retryAfterSeconds: 1,
    detail: 'A run of the policy is under way in this session. Wait for it, or cancel it by closing its connection.',
  })

export const windowExceeded = (promptTokens: number, windowTokens: number) =>
  new AppError({
    code: 'context.window_exceeded',
    status: 422,
    detail: `The prompt takes ${promptTokens} tokens, the model's window has ${windowTokens}, and what is left cannot be summarised. Unpin messages, reset the context, or use a model with a larger window.`,
  })

export const toolNameTaken = (name: string) =>
  new AppError({
    code: 'policy.tool_name_taken',
    status: 422,
    detail: `The function name ${name} belongs to one of the memory tools. Give your function another name.`,
  })

export const invalidEventId = () =>
  new AppError({
    code: 'policy.invalid_event_id',
    status: 400,
    detail: 'Last-Event-ID is no id of an event of a run. Leave it out to start a run.',
  })

export const deadlinePassed = () =>
  new AppError({
    code: 'inference.deadline',
    status: 503,
    retryable: true,
    retryAfterSeconds: 1,
    detail: 'The model did not answer in time. Nothing is half done; try again, or give it longer.',
  })

export const runNotFound = () =>
  new AppError({
    code: 'policy.run_not_found',
    status: 404,
    detail:
      'This process knows no such run of the session: it ended a while ago, or another process has it. What it did is in the trajectory.',
  })
