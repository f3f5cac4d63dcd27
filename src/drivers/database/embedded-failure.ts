/** Failures of the embedded database, told as what is wrong and what to do about it. */
import { AppError, isAppError } from '../../shared/errors.ts'

const alternative = 'or set AGEMEM_DATABASE_URL to a PostgreSQL of your own'

export const embeddedFailed = (detail: string, cause?: unknown): AppError =>
  new AppError({ code: 'database.embedded_failed', status: 503, detail: `${detail}, ${alternative}.`, cause })

/** What a failed command or system call says, without Node's preamble. */
export const reasonOf = (error: unknown): string => {
  const stderr = (error as { stderr?: unknown } | null)?.stderr
  const text = typeof stderr === 'string' && stderr.trim() !== '' ? stderr : String((error as Error)?.message ?? error)
  return text.trim().replaceAll(/\s+/g, ' ').slice(-400)
}

const adviceFor = (reason: string, folder: string): string => {
  if (/ENOSPC|EDQUOT|no space left|disk quota/i.test(reason)) return `The disk of ${folder} is full: free some space`
  if (/EACCES|EPERM|EROFS|permission denied|not permitted|read-only file system/i.test(reason))
    return `${folder} is not writable: let the account of the service own it, point AGEMEM_DATA_DIR elsewhere`
  if (/ENOTDIR|EEXIST|ENOENT|ELOOP|ENAMETOOLONG/.test(reason))
    return `${folder} cannot be made a folder: point AGEMEM_DATA_DIR elsewhere`
  return `Read ${folder}/postgres.log`
}

/** @returns the reason of the caller's abort, or an error that speaks to people */
export const explainFailure = (
  error: unknown,
  { folder, signal }: { folder: string; signal: AbortSignal | undefined },
) => {
  if (signal?.aborted) return signal.reason
  if (isAppError(error)) return error
  const reason = reasonOf(error)
  return embeddedFailed(`The embedded database could not start: ${reason}. ${adviceFor(reason, folder)}`, error)
}
