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

const lineLengthMax = 120

/** The file, the line where PostgreSQL found it, and what stands there: all of it is the release's own text. */
export const describeFailedFile = (
  error: unknown,
  { file, text }: { readonly file: string; readonly text: string },
): string => {
  const { position, where } = error as { readonly position?: string; readonly where?: string }
  const offset = Number(position)
  const [context] = (where ?? '').split('\n')
  if (!(offset >= 1)) return `migrations/${file}.sql${context === '' ? '' : ` (${context})`}`
  const before = text.slice(0, offset).split('\n')
  const line = (text.split('\n')[before.length - 1] ?? '').trim().slice(0, lineLengthMax)
  return `migrations/${file}.sql, line ${before.length}, \`${line}\``
}

const migrationAdvice = (state: string | undefined, reason: string): string => {
  // The runner of migrations keeps the words alone of what fails before the first file.
  if (state === undefined && /permission denied/.test(reason)) return migrationAdvice('42501', reason)
  if (state === undefined)
    return 'Look at the PostgreSQL server and start again: a migration is applied whole or not at all.'
  if (state === '42501')
    return 'The owner needs to create tables and roles (CREATEROLE); give its login as AGEMEM_DATABASE_OWNER_URL.'
  if (state === '53100') return 'Free some space on the disk of PostgreSQL and start again.'
  if (/^(08|53|57|58|25|40|55)/.test(state)) return 'Nothing of the migration was kept: start again.'
  if (/^42P07|^42710|^42723/.test(state))
    return 'Something of that name is there already: give the service a database of its own, or restore into an empty one.'
  return 'Nothing of the migration was kept. Go on with the release that ran before, and report this line.'
}

/** @param place where in the migrations it happened, if it was there */
export const migrationFailed = (error: unknown, place?: string): AppError => {
  const state = stateOf(error)
  const reason = [
    reasonOf(error),
    state === undefined ? '' : ` (SQLSTATE ${state})`,
    place === undefined ? '' : ` in ${place}`,
  ].join('')
  return failed(reason, migrationAdvice(state, reason), error)
}
