/** Failures of the embedded database, told as what is wrong and what to do about it; and which of them mean absence. */
import { AppError, isAppError } from '../../shared/errors.ts'

const alternative = 'or set AGEMEM_DATABASE_URL to a PostgreSQL of your own'

export const embeddedFailed = (detail: string, cause?: unknown): AppError =>
  new AppError({ code: 'database.embedded_failed', status: 503, detail: `${detail}, ${alternative}.`, cause })

export const codeOf = (error: unknown): unknown => (error as { code?: unknown } | null)?.code

/** These two alone say that something is not there; every other error says that it is not known. */
export const isGoneError = (error: unknown): boolean => codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH'

/** Of this process or machine at this moment, whatever was asked: it says nothing about what the question was about. */
export const isExhaustion = (error: unknown): boolean =>
  /^(EMFILE|ENFILE|ENOMEM|ENOBUFS|EAGAIN)$/.test(String(codeOf(error)))

/** For `catch`: the value where the thing is gone. @throws every other error */
export const ifGone =
  <T>(value: T) =>
  (error: unknown): T => {
    if (isGoneError(error)) return value
    throw error
  }

/** What a failed command or system call says, without Node's preamble. */
export const reasonOf = (error: unknown): string => {
  const stderr = (error as { stderr?: unknown } | null)?.stderr
  const text = typeof stderr === 'string' && stderr.trim() !== '' ? stderr : String((error as Error)?.message ?? error)
  return text.trim().replaceAll(/\s+/g, ' ').slice(-400)
}

const adviceFor = (reason: string, folder: string): string => {
  if (/EMFILE|ENFILE|too many open files/i.test(reason))
    return 'No file can be opened any more: raise the limit of open files (ulimit -n)'
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
