import type { Caller } from '../../shared/caller.ts'
import type { Clock } from '../../shared/clock.ts'
import { type AppError, isAppError } from '../../shared/errors.ts'
import type { ImportedLine } from './import-lines.ts'
import type { ImportResult } from './import-progress.ts'
import { importBrokeOff } from './memory.errors.ts'

/** The caller's key is looked at after so many lines, and after so long, whichever comes first. */
const linesBetweenLooks = 500
const msBetweenLooks = 1_000

/** What ends an import and leaves what has come by then. */
const endings = ['request.too_slow', 'auth.invalid_key', 'tenant.suspended'] as const

/**
 * The lines of an import while its key is good and its client sends. When either ends, what has come is stored all the
 * same; `ensureWhole` then says how far that was.
 */
export const watchLines = (
  lines: AsyncIterable<ImportedLine>,
  { caller, clock }: { readonly caller: Pick<Caller, 'ensureLive'>; readonly clock: Pick<Clock, 'monotonicMs'> },
) => {
  let ended: { readonly by: AppError; readonly line: number } | null = null
  async function* watched(): AsyncGenerator<ImportedLine> {
    let [count, line, lookedMs] = [0, 0, Number.NEGATIVE_INFINITY]
    try {
      for await (const read of lines) {
        if (count % linesBetweenLooks === 0 || clock.monotonicMs() - lookedMs >= msBetweenLooks) {
          await caller.ensureLive?.()
          lookedMs = clock.monotonicMs()
        }
        count += 1
        line = read.line
        yield read
      }
    } catch (error) {
      if (!endings.some((code) => isAppError(error, code))) throw error
      ended = { by: error as AppError, line }
    }
  }
  return {
    lines: watched(),
    /** @throws AppError `memory.import_broke_off` (503), or one of the `endings` */
    ensureWhole: ({ created }: Pick<ImportResult, 'created'>): void => {
      if (ended === null) return
      throw created === 0 ? ended.by : importBrokeOff({ created, line: ended.line }, ended.by)
    },
  }
}
