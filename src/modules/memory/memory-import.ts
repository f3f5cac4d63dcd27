/**
 * Import of an agent's memories, in chunks that are stored one after another. An imported memory keeps its times and
 * source and gets an id of its own, so a copy never shares an id with its original. With an Idempotency-Key each chunk
 * stores how far the import has come, in its own transaction: an import that broke off goes on behind that when it is
 * sent again, and one that was whole is answered as before and stores nothing, whatever was changed or deleted since.
 *
 * Invariant: each line is stored, or named as rejected, or after the line up to which a failed import says it came.
 */
import type { Database, TenantTransaction } from '../../ports/database.ts'
import type { Tokenizer } from '../../ports/tokenizer.ts'
import type { Caller } from '../../shared/caller.ts'
import type { Clock } from '../../shared/clock.ts'
import { type AppError, isAppError } from '../../shared/errors.ts'
import type { CreateId } from '../../shared/ids.ts'
import { toUtc } from '../../shared/moment.ts'
import { inSlices } from '../../shared/yielding.ts'
import { idempotencyConflict } from '../idempotency/idempotency.errors.ts'
import type { Idempotency } from '../idempotency/idempotency.service.ts'
import {
  createTally,
  type ImportPlace,
  type ImportProgress,
  type ImportResult,
  placeAfter,
  progressOf,
  startPlace,
} from './import-progress.ts'
import { importBrokeOff, memoryInvalid } from './memory.errors.ts'
import { newMemoryRow } from './memory-input.ts'
import { insertMemories } from './memory-insert.repository.ts'
import type { NewMemoryRow } from './memory-row.ts'
import type { NewMemory } from './memory-types.ts'

const chunkSize = 500
/** Of contents and metadata: what one statement carries is written out, sent and parsed in one piece each. */
const chunkBytesMax = 2 * 1_048_576

export type ImportedMemory = NewMemory & {
  /** Of the clock that `occurredAt`, which an export tells in UTC, was read from. */
  readonly occurredOffsetMinutes?: number | undefined
  readonly createdAt?: string | undefined
  readonly expiresAt?: string | null | undefined
}

export type MemoryImportOptions = {
  readonly database: Database
  readonly idempotency: Idempotency
  readonly tokenizer: Tokenizer
  readonly clock: Clock
  readonly createId: CreateId
  readonly onWrite: () => void
}

type ImportedLines = AsyncIterable<{ readonly line: number; readonly memory: ImportedMemory | AppError }>

/** Lines in order; an error in place of a memory is a line that could not be read. */
export type ImportAll = (caller: Caller, agentId: string, lines: ImportedLines) => Promise<ImportResult>

/** The memory's own, then what its time to live says. @throws AppError when it is over: nobody would ever see it */
const importedExpiry = ({ expiresAt }: ImportedMemory, row: NewMemoryRow, nowMs: number): string | null => {
  if (expiresAt === undefined) return row.expires_at
  const expiry = expiresAt === null ? null : toUtc(expiresAt, '/expires_at')
  if (expiry !== null && Date.parse(expiry) <= nowMs)
    throw memoryInvalid([{ pointer: '/expires_at', detail: 'has passed already' }])
  return expiry
}

/** May pass by itself: a part that is away, or a deadline. */
const isPassing = (error: unknown): boolean =>
  isAppError(error)
    ? error.retryable && !error.code.startsWith('idempotency.')
    : error instanceof Error && error.name === 'TimeoutError'

const isQuota = (error: unknown): error is AppError => isAppError(error) && error.code.startsWith('quota.')

type Row = { readonly line: number; readonly row: NewMemoryRow }

/** Keeps how far the import has come: stores it in a transaction, and is told when that has committed. */
type Journal = {
  readonly before: ImportProgress | null
  write(tx: TenantTransaction, result: ImportResult, at: ImportPlace & { readonly isComplete: boolean }): Promise<void>
  onWritten(): void
}

const noJournal: Journal = { before: null, write: async () => {}, onWritten: () => {} }

/**
 * The lines behind those that were dealt with before. @throws AppError `idempotency.key_reused` (422) when those are not
 * what was sent then
 */
async function* newLines(lines: ImportedLines, before: ImportProgress | null) {
  let place = startPlace
  for await (const { line, memory } of lines) {
    place = placeAfter(place, line, memory)
    if (before !== null && line <= before.line) {
      if (line === before.line && place.digest !== before.digest) throw idempotencyConflict()
      continue
    }
    if (before?.isComplete || (before !== null && before.line === 0)) throw idempotencyConflict()
    yield { line, memory, place }
  }
  if (before !== null && place.line < before.line) throw idempotencyConflict()
}

export const createImportAll = (options: MemoryImportOptions): ImportAll => {
  const { database, idempotency, tokenizer, clock, createId, onWrite } = options

  const rowOf = (caller: Caller, agentId: string, memory: ImportedMemory) => {
    const ids = { agentId, memoryId: createId('mem'), spaceId: createId('spc'), changedBy: caller.actor }
    const nowMs = clock.nowMs()
    const row = newMemoryRow(memory, { ids, nowMs, tokenizer })
    return {
      ...row,
      occurred_offset_minutes:
        row.occurred_at === null ? null : (memory.occurredOffsetMinutes ?? row.occurred_offset_minutes),
      created_at: memory.createdAt === undefined ? row.created_at : toUtc(memory.createdAt, '/created_at'),
      expires_at: importedExpiry(memory, row, nowMs),
      uses_default_ttl: row.uses_default_ttl && memory.expiresAt === undefined,
    }
  }

  const importLines = async (
    caller: Caller,
    { agentId, lines, journal }: { agentId: string; lines: ImportedLines; journal: Journal },
  ): Promise<ImportResult> => {
    const { create, reject, result } = createTally(journal.before)
    let chunk: Row[] = []
    let chunkBytes = 0
    let seen: ImportPlace = journal.before ?? startPlace

    /** Stores the chunk under one revision, and with it how far the import has come. */
    const store = async (isComplete: boolean): Promise<void> => {
      const rows = chunk.map(({ row }) => row)
      const so = result()
      const after = { ...so, created: so.created + rows.length }
      await database.transact(
        caller.tenantId,
        async (tx) => {
          if (rows.length > 0) await insertMemories(tx, rows)
          await journal.write(tx, after, { ...seen, isComplete })
        },
        caller,
      )
      journal.onWritten()
      create(rows.length)
      chunk = []
      chunkBytes = 0
      onWrite()
    }

    const flush = async (isComplete: boolean): Promise<void> => {
      if (chunk.length === 0 && journal === noJournal) return
      try {
        await store(isComplete)
      } catch (error) {
        // A quota that is reached at the first chunk refuses the import; later, the lines that it keeps out.
        if (!isQuota(error) || chunk.length === 0 || result().created === 0) throw error
        for (const { line } of chunk) reject(line, error)
        chunk = []
        if (isComplete) await store(isComplete)
      }
    }

    try {
      for await (const { line, memory, place } of newLines(lines, journal.before)) {
        seen = place
        try {
          if (isAppError(memory)) throw memory
          await inSlices(tokenizer.prepare([memory.content]), caller.signal)
          const row = rowOf(caller, agentId, memory)
          chunk.push({ line, row })
          chunkBytes += row.content.length + JSON.stringify(row.metadata).length
        } catch (error) {
          if (!isAppError(error)) throw error
          reject(line, error)
        }
        if (chunk.length >= chunkSize || chunkBytes >= chunkBytesMax) await flush(false)
      }
      if (!journal.before?.isComplete) await flush(true)
    } catch (error) {
      const { created } = result()
      const line = (chunk[0]?.line ?? seen.line + 1) - 1
      throw created > 0 && isPassing(error) ? importBrokeOff({ created, line }, error) : error
    }
    return result()
  }

  return async (caller, agentId, lines) => {
    const { idempotency: claim } = caller
    if (claim === null) return importLines(caller, { agentId, lines, journal: noJournal })
    const keyed = { ...caller, idempotency: claim }
    return idempotency.runInParts(keyed, (found) => {
      const before = found as ImportProgress | null
      let from = before?.part ?? null
      const nextPart = () => (from ?? 0) + 1
      const journal: Journal = {
        before,
        write: (tx, written, at) =>
          idempotency.advance(tx, keyed, { agentId, from, progress: progressOf(written, { ...at, part: nextPart() }) }),
        onWritten: () => {
          from = nextPart()
        },
      }
      return importLines(caller, { agentId, lines, journal })
    })
  }
}
