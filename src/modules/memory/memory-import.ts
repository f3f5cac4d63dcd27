/**
 * Import of an agent's memories, in chunks that are stored one after another. An imported memory keeps its times and
 * source and gets an id of its own, so a copy never shares an id with its original. With an Idempotency-Key the ids
 * follow from the key and the lines, so an import that broke off can be sent again and adds only what is missing.
 *
 * Invariant: each line is stored, or named as rejected, or after the line up to which a failed import says it came.
 */
import { createHash } from 'node:crypto'
import type { Database } from '../../ports/database.ts'
import type { Tokenizer } from '../../ports/tokenizer.ts'
import type { Caller } from '../../shared/caller.ts'
import type { Clock } from '../../shared/clock.ts'
import { type AppError, isAppError } from '../../shared/errors.ts'
import type { CreateId } from '../../shared/ids.ts'
import { canonicalJson } from '../../shared/json-limits.ts'
import { toUtc } from '../../shared/moment.ts'
import { inSlices } from '../../shared/yielding.ts'
import type { QuotaGuard } from '../tenant/quota.ts'
import { importBrokeOff, memoryInvalid } from './memory.errors.ts'
import { bytesOf, newMemoryRow } from './memory-input.ts'
import { insertMemories, lockKnownIds } from './memory-insert.repository.ts'
import type { NewMemoryRow } from './memory-row.ts'
import type { NewMemory } from './memory-types.ts'

const chunkSize = 500
/** Of contents and metadata: what one statement carries is written out, sent and parsed in one piece each. */
const chunkBytesMax = 2 * 1_048_576
const rejectedMax = 1_000

export type ImportedMemory = NewMemory & {
  readonly createdAt?: string | undefined
  readonly expiresAt?: string | null | undefined
}

export type RejectedLine = { readonly line: number; readonly problem: AppError }

export type ImportResult = {
  readonly created: number
  /** At most 1,000 of them; `rejectedCount` counts all. */
  readonly rejected: readonly RejectedLine[]
  readonly rejectedCount: number
}

export type MemoryImportOptions = {
  readonly database: Database
  readonly tokenizer: Tokenizer
  readonly quota: QuotaGuard
  readonly clock: Clock
  readonly createId: CreateId
  readonly onWrite: () => void
}

/** Lines in order; an error in place of a memory is a line that could not be read. */
export type ImportAll = (
  caller: Caller,
  agentId: string,
  lines: AsyncIterable<{ readonly line: number; readonly memory: ImportedMemory | AppError }>,
) => Promise<ImportResult>

/** The memory's own, then what its time to live says. @throws AppError when it is over: nobody would ever see it */
const importedExpiry = ({ expiresAt }: ImportedMemory, row: NewMemoryRow, nowMs: number): string | null => {
  if (expiresAt === undefined) return row.expires_at
  const expiry = expiresAt === null ? null : toUtc(expiresAt, '/expires_at')
  if (expiry !== null && Date.parse(expiry) <= nowMs)
    throw memoryInvalid([{ pointer: '/expires_at', detail: 'has passed already' }])
  return expiry
}

/** A valid id that the same key, line and memory always give. */
const derivedId = (key: string, line: number, memory: ImportedMemory): string => {
  const text = `${key}\n${line}\n${canonicalJson(memory)}`
  const hex = createHash('sha256').update(text).digest('hex').slice(0, 32)
  return `mem_${hex.slice(0, 12)}8${hex.slice(13, 16)}8${hex.slice(17)}`
}

/** May pass by itself: a part that is away, or a deadline. */
const isPassing = (error: unknown): boolean =>
  isAppError(error) ? error.retryable : error instanceof Error && error.name === 'TimeoutError'

const isQuota = (error: unknown): error is AppError => isAppError(error) && error.code.startsWith('quota.')

type Row = { readonly line: number; readonly row: NewMemoryRow }

/** What became of the lines so far. */
const createTally = () => {
  const rejected: RejectedLine[] = []
  let created = 0
  let rejectedCount = 0
  return {
    create: (count: number): void => {
      created += count
    },
    reject: (line: number, problem: AppError): void => {
      rejectedCount += 1
      if (rejected.length < rejectedMax) rejected.push({ line, problem })
    },
    result: (): ImportResult => ({ created, rejected, rejectedCount }),
  }
}

export const createImportAll = (options: MemoryImportOptions): ImportAll => {
  const { database, tokenizer, quota, clock, createId } = options

  const rowOf = (caller: Caller, memory: ImportedMemory, { agentId, line }: { agentId: string; line: number }) => {
    const memoryId = caller.idempotency ? derivedId(caller.idempotency.key, line, memory) : createId('mem')
    const ids = { agentId, memoryId, spaceId: createId('spc'), changedBy: caller.actor }
    const nowMs = clock.nowMs()
    const row = newMemoryRow(memory, { ids, nowMs, tokenizer })
    return {
      ...row,
      created_at: memory.createdAt === undefined ? row.created_at : toUtc(memory.createdAt, '/created_at'),
      expires_at: importedExpiry(memory, row, nowMs),
      uses_default_ttl: row.uses_default_ttl && memory.expiresAt === undefined,
    }
  }

  /** Stores a chunk under one revision; rows that an earlier try of the same import stored are there already. */
  const store = async (caller: Caller, agentId: string, rows: readonly NewMemoryRow[]): Promise<void> => {
    const room = await quota.openRoom(caller)
    await database.transact(
      caller.tenantId,
      async (tx) => {
        const memoryIds = rows.map((row) => row.memory_id)
        const known = caller.idempotency ? await lockKnownIds(tx, { agentId, memoryIds }) : new Set()
        const missing = rows.filter((row) => !known.has(row.memory_id))
        room.take({ memories: missing.length, bytes: missing.reduce((sum, row) => sum + bytesOf(row), 0) })
        if (missing.length > 0) await insertMemories(tx, missing)
      },
      caller,
    )
    options.onWrite()
  }

  return async (caller, agentId, lines) => {
    const { create, reject, result } = createTally()
    let chunk: Row[] = []
    let chunkBytes = 0
    let doneLine = 0
    const flush = async (): Promise<void> => {
      if (chunk.length === 0) return
      try {
        const rows = chunk.map(({ row }) => row)
        await store(caller, agentId, rows)
        create(rows.length)
      } catch (error) {
        // A quota that is reached at the first chunk refuses the import; later, the lines that it keeps out.
        if (!isQuota(error) || result().created === 0) throw error
        for (const { line } of chunk) reject(line, error)
      }
      doneLine = chunk.at(-1)?.line ?? doneLine
      chunk = []
      chunkBytes = 0
    }
    try {
      for await (const { line, memory } of lines) {
        try {
          if (isAppError(memory)) throw memory
          await inSlices(tokenizer.prepare([memory.content]), caller.signal)
          const row = rowOf(caller, memory, { agentId, line })
          chunk.push({ line, row })
          chunkBytes += bytesOf(row)
        } catch (error) {
          if (!isAppError(error)) throw error
          reject(line, error)
        }
        if (chunk.length >= chunkSize || chunkBytes >= chunkBytesMax) await flush()
      }
      await flush()
    } catch (error) {
      const { created } = result()
      throw created > 0 && isPassing(error) ? importBrokeOff({ created, line: doneLine }, error) : error
    }
    return result()
  }
}
