import { AppError } from '../../shared/errors.ts'

export const agentNotFound = () =>
  new AppError({
    code: 'agent.not_found',
    status: 404,
    detail: 'There is no agent with that id. An agent comes into being with its first session or memory.',
  })

export const erasureNotFound = () =>
  new AppError({ code: 'erasure.not_found', status: 404, detail: 'There is no erasure with that id.' })
