import { AppError } from '../../shared/errors.ts'

export const sessionNotFound = () =>
  new AppError({ code: 'session.not_found', status: 404, detail: 'There is no session with that id.' })

export const sessionClosed = () =>
  new AppError({
    code: 'session.closed',
    status: 409,
    detail: 'The session is closed: it can be read, not written. Create a new session of the agent to go on.',
  })

export const sessionExists = () =>
  new AppError({
    code: 'session.exists',
    status: 409,
    detail: 'There is a session with that id already. Choose another session_id, or leave it out to get a new one.',
  })

export const sessionCrowded = (retryAfterSeconds: number) =>
  new AppError({
    code: 'session.crowded',
    status: 503,
    retryable: true,
    retryAfterSeconds,
    detail: 'More calls wait for their turn in sessions of this service than it can hold. Nothing was done. Try again.',
  })
