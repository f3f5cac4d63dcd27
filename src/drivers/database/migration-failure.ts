/** Why a start gets no migrated database: what is wrong, and what to do about it. Holds no URL, since that has a password. */
import { AppError } from '../../shared/errors.ts'
import { stateOf } from './database-errors.ts'

/** One line: the runner of migrations puts the stack of its cause into its message. */
const reasonOf = (error: unknown): string => {
  const { message = '', code } = error as { readonly message?: string; readonly code?: unknown }
  // Where each address of a host was tried in vain, the error of them all has a code and no message.
  const [reason = ''] = (message === '' ? String(code) : message).split('\n')
  return reason.replace(/\.$/, '')
}

const failed = (reason: string, advice: string, cause: unknown) =>
  new AppError({
    code: 'database.migration_failed',
    status: 503,
    detail: `The database could not be migrated: ${reason}. ${advice}`,
    cause,
  })

const adviceOf = (state: string | undefined, setting: string): string => {
  if (state === undefined)
    return `Check host and port in ${setting}; in a password there, all but letters and digits is percent-encoded.`
  if (state.startsWith('28'))
    return `Check the login in ${setting}: PostgreSQL keeps the password that it was given first, until it is altered there.`
  if (state === '3D000') return `Create it, or name another one in ${setting}.`
  return `Is the server that ${setting} names ready for connections?`
}

/** @param setting the name of the setting that the URL came from */
export const connectionFailed = (error: unknown, setting: string): AppError =>
  failed(reasonOf(error), adviceOf(stateOf(error), setting), error)

export const migrationFailed = (error: unknown): AppError =>
  failed(
    reasonOf(error),
    'The owner needs to create tables and roles (CREATEROLE); give its login as AGEMEM_DATABASE_OWNER_URL.',
    error,
  )
