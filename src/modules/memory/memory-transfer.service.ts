/**
 * Export and import of an agent's memories, as streams in bounded memory: pages out, chunks in. An imported memory keeps
 * its times and source and gets an id of its own, so a copy never shares an id with its original. With an
 * Idempotency-Key the ids follow from the key and the lines, so an import that broke off can be sent again and adds
 * only what is missing.
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
import type { QuotaGuard } from '../tenant/quota.ts'
import { bytesOf, newMemoryRow } from './memory-input.ts'
import { insertMemories, lockKnownIds } from './memory-insert.repository.ts'
import { listMemories, startOf } from './memory-list.repository.ts'
import type { NewMemoryRow } from './memory-row.ts'
import type { Memory, NewMemory } from './memory-types.ts'

const pageSize = 500
const chunkSize = 500
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

export type MemoryTransferOptions = {
  readonly database: Database
  readonly tokenizer: Tokenizer
  readonly quota: QuotaGuard
  readonly clock: Clock
  readonly createId: CreateId
  readonly onWrite: () => void
}

export type MemoryTransfer = ReturnType<typeof createMemoryTransfer>

/** The memory's own, then what its time to live says. */
const importedExpiry = ({ expiresAt }: ImportedMemory, row: NewMemoryRow): string | null => {
  if (expiresAt === undefined) return row.expires_at
  return expiresAt === null ? null : toUtc(expiresAt, '/expires_at')
}

/** A valid id that the same key, line and memory always give. */
const derivedId = (key: string, line: number, memory: ImportedMemory): string => {
  const text = `${key}\n${line}\n${canonicalJson(memory)}`
  const hex = createHash('sha256').update(text).digest('hex').slice(0, 32)
  return `mem_${hex.slice(0, 12)}8${hex.slice(13, 16)}8${hex.slice(17)}`
}

export const createMemoryTransfer = (options: MemoryTransferOptions) => {
  const { database, tokenizer, quota, clock, createId } = options

  type Line = { readonly agentId: string; readonly line: number }

  const rowOf = (caller: Caller, memory: ImportedMemory, { agentId, line }: Line): NewMemoryRow => {
    const memoryId = caller.idempotency ? derivedId(caller.idempotency.key, line, memory) : createId('mem')
    const ids = { agentId, memoryId, spaceId: createId('spc'), changedBy: caller.actor }
    const row = newMemoryRow(memory, { ids, nowMs: clock.nowMs(), tokenizer })
    return {
      ...row,
      created_at: memory.createdAt === undefined ? row.created_at : toUtc(memory.createdAt, '/created_at'),
      expires_at: importedExpiry(memory, row),
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

  return {
    /** Every memory that is visible now, by creation, a page in memory at a time. */
    exportAll: async function* (caller: Caller, agentId: string): AsyncGenerator<readonly Memory[]> {
      const filter = {
        agentId,
        memoryType: null,
        metadata: null,
        createdAfter: null,
        createdBefore: null,
        indexState: null,
        now: new Date(clock.nowMs()).toISOString(),
      }
      const order = 'asc'
      let after = startOf(order)
      for (;;) {
        const page = await database.transact(
          caller.tenantId,
          (tx) => listMemories(tx, { filter, after, limit: pageSize, order }),
          caller,
        )
        if (page.length > 0) yield page
        if (page.length < pageSize) return
        after = page.at(-1) ?? after
      }
    },

    /** Lines in order; an error in place of a memory is a line that could not be read. */
    importAll: async (
      caller: Caller,
      agentId: string,
      lines: AsyncIterable<{ readonly line: number; readonly memory: ImportedMemory | AppError }>,
    ): Promise<ImportResult> => {
      const rejected: RejectedLine[] = []
      let created = 0
      let rejectedCount = 0
      let chunk: NewMemoryRow[] = []
      const reject = (line: number, problem: AppError) => {
        rejectedCount += 1
        if (rejected.length < rejectedMax) rejected.push({ line, problem })
      }
      const flush = async () => {
        if (chunk.length === 0) return
        await store(caller, agentId, chunk)
        created += chunk.length
        chunk = []
      }
      for await (const { line, memory } of lines) {
        try {
          if (isAppError(memory)) throw memory
          chunk.push(rowOf(caller, memory, { agentId, line }))
        } catch (error) {
          if (!isAppError(error)) throw error
          reject(line, error)
        }
        if (chunk.length >= chunkSize) await flush()
      }
      await flush()
      return { created, rejected, rejectedCount }
    },
  }
}
