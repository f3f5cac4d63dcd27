/**
 * How far an import has come, in a form that is stored with each chunk under the import's Idempotency-Key. A digest over
 * the lines so far tells whether what is sent again is the same.
 */
import { createHash } from 'node:crypto'
import { AppError, isAppError } from '../../shared/errors.ts'
import { canonicalJson } from '../../shared/json-limits.ts'
import type { Progress } from '../idempotency/idempotency.service.ts'

const rejectedMax = 1_000

export type RejectedLine = { readonly line: number; readonly problem: AppError }

export type ImportResult = {
  readonly created: number
  /** At most 1,000 of them; `rejectedCount` counts all. */
  readonly rejected: readonly RejectedLine[]
  readonly rejectedCount: number
}

/** Up to which line, and the digest of the lines until there. */
export type ImportPlace = { readonly line: number; readonly digest: string }

export type ImportProgress = Progress &
  ImportPlace &
  Omit<ImportResult, 'rejected'> & {
    readonly isComplete: boolean
    readonly rejected: readonly {
      readonly line: number
      readonly problem: Pick<AppError, 'code' | 'status' | 'detail' | 'errors'>
    }[]
  }

export const startPlace: ImportPlace = { line: 0, digest: '' }

/** The place after a line; a line that could not be read counts by what was wrong with it. */
export const placeAfter = (before: ImportPlace, line: number, memory: object): ImportPlace => {
  const text = isAppError(memory) ? `${memory.code} ${canonicalJson(memory.errors)}` : canonicalJson(memory)
  return { line, digest: createHash('sha256').update(`${before.digest}\n${line}\n${text}`).digest('base64url') }
}

/** What became of the lines so far. */
export const createTally = (before: ImportProgress | null) => {
  const rejected: RejectedLine[] = (before?.rejected ?? []).map(({ line, problem }) => ({
    line,
    problem: new AppError(problem),
  }))
  let created = before?.created ?? 0
  let rejectedCount = before?.rejectedCount ?? 0
  return {
    create: (count: number): void => {
      created += count
    },
    reject: (line: number, problem: AppError): void => {
      rejectedCount += 1
      if (rejected.length < rejectedMax) rejected.push({ line, problem })
    },
    result: (): ImportResult => ({ created, rejected: [...rejected], rejectedCount }),
  }
}

export const progressOf = (
  { created, rejected, rejectedCount }: ImportResult,
  at: ImportPlace & { readonly part: number; readonly isComplete: boolean },
): ImportProgress => ({
  ...at,
  created,
  rejectedCount,
  rejected: rejected.map(({ line, problem: { code, status, detail, errors } }) => ({
    line,
    problem: { code, status, detail, errors },
  })),
})
