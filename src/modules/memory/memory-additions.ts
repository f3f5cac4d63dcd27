/**
 * How memories come into being: one by one, in a batch, or as part of a tool call's transaction. Additions that carry no
 * Idempotency-Key of their own share transactions with others of their tenant (group-commit.ts).
 */
import type { Database, TenantTransaction } from '../../ports/database.ts'
import type { Tokenizer } from '../../ports/tokenizer.ts'
import type { Caller } from '../../shared/caller.ts'
import type { Clock } from '../../shared/clock.ts'
import { type AppError, brokenInvariant, isAppError } from '../../shared/errors.ts'
import type { CreateId } from '../../shared/ids.ts'
import { inSlices, mapSteps } from '../../shared/yielding.ts'
import type { Idempotency } from '../idempotency/idempotency.service.ts'
import type { QuotaGuard } from '../tenant/quota.ts'
import { createGroupCommit } from './group-commit.ts'
import { memoryNotFound } from './memory.errors.ts'
import { bytesOf, newMemoryRow } from './memory-input.ts'
import { type InsertedMemory, insertMemories } from './memory-insert.repository.ts'
import type { NewMemoryRow } from './memory-row.ts'
import type { MemorySearch } from './memory-search.service.ts'
import type { AddedMemory, Duplicate, NewMemory } from './memory-types.ts'

export type BatchResult = { readonly memory: AddedMemory } | { readonly problem: AppError }

type PreparedAddition = { readonly row: NewMemoryRow; readonly similar: Duplicate | null }

export type MemoryAdditionsOptions = {
  readonly database: Database
  readonly idempotency: Idempotency
  readonly search: MemorySearch
  readonly tokenizer: Tokenizer
  readonly quota: QuotaGuard
  readonly clock: Clock
  readonly createId: CreateId
  /** Cosine from which another memory is reported as a duplicate, where the agent sets none. */
  readonly duplicateThreshold: () => number
  readonly onWrite: () => void
}

const duplicateCheckMs = 1_000
const identical = 1
const group = { sizeMax: 128, groupsMax: 4, patienceMs: 20 }

const addedOf = ({ identicalTo, ...memory }: InsertedMemory, similar: Duplicate | null): AddedMemory => ({
  ...memory,
  duplicateOf: identicalTo === null ? similar : { memoryId: identicalTo, similarity: identical },
})

export type MemoryAdditions = ReturnType<typeof createMemoryAdditions>

export const createMemoryAdditions = (options: MemoryAdditionsOptions) => {
  const { database, idempotency, search, tokenizer, quota, clock, createId, onWrite } = options
  let checksUnderWay = 0

  const insertInGroup = createGroupCommit<NewMemoryRow, InsertedMemory>({
    commit: (tenantId, rows) => database.transact(tenantId, (tx) => insertMemories(tx, rows)),
    ...group,
  })

  const rowOf = (caller: Caller, agentId: string, memory: NewMemory): NewMemoryRow => {
    const ids = { agentId, memoryId: createId('mem'), spaceId: createId('spc'), changedBy: caller.actor }
    return newMemoryRow(memory, { ids, nowMs: clock.nowMs(), tokenizer })
  }

  const reserve = (caller: Caller, rows: readonly NewMemoryRow[]) =>
    quota.reserve(caller, {
      memories: rows.length,
      bytes: rows.reduce((sum, row) => sum + bytesOf(row), 0),
    })

  /**
   * Looks for a near duplicate while the embedder has nothing better to do: one check at a time, and none that takes
   * long. An addition never queues behind a model, so under load only identical contents are reported.
   */
  const findDuplicate = async (caller: Caller, agentId: string, content: string): Promise<Duplicate | null> => {
    if (checksUnderWay > 0) return null
    checksUnderWay += 1
    try {
      const signal = AbortSignal.any([caller.signal, AbortSignal.timeout(duplicateCheckMs)])
      const defaultThreshold = options.duplicateThreshold()
      return await search.findSimilar(caller, { agentId, content, defaultThreshold, signal })
    } catch (error) {
      if (caller.signal.aborted) throw error
      return null
    } finally {
      checksUnderWay -= 1
    }
  }

  /** Room for it is reserved and near duplicates are looked for; nothing is written yet. */
  const prepareAdd = async (
    caller: Caller,
    { agentId, memory }: { agentId: string; memory: NewMemory },
  ): Promise<PreparedAddition> => {
    await inSlices(tokenizer.prepare([memory.content]), caller.signal)
    const row = rowOf(caller, agentId, memory)
    const [similar] = await Promise.all([findDuplicate(caller, agentId, memory.content), reserve(caller, [row])])
    return { row, similar }
  }

  const applyAdd = async (tx: TenantTransaction, { row, similar }: PreparedAddition): Promise<AddedMemory> => {
    const [stored] = await insertMemories(tx, [row])
    if (stored === undefined) throw brokenInvariant('A new memory was not stored.')
    return addedOf(stored, similar)
  }

  const add = async (caller: Caller, request: { agentId: string; memory: NewMemory }): Promise<AddedMemory> => {
    if (caller.idempotency === null) {
      const { row, similar } = await prepareAdd(caller, request)
      return addedOf(await insertInGroup(caller.tenantId, row, caller.signal), similar)
    }
    return idempotency.runOnce<AddedMemory>(caller, {
      agentId: request.agentId,
      operation: async (commit) => {
        const prepared = await prepareAdd(caller, request)
        return commit((tx) => applyAdd(tx, prepared))
      },
    })
  }

  const rowOrProblem = (caller: Caller, agentId: string, memory: NewMemory | AppError): NewMemoryRow | AppError => {
    if (isAppError(memory)) return memory
    try {
      return rowOf(caller, agentId, memory)
    } catch (error) {
      if (isAppError(error)) return error
      throw error
    }
  }

  return {
    /** For whoever writes in a transaction of its own, such as a tool call; call `onWrite` when it has committed. */
    prepareAdd,
    applyAdd,
    onWrite,

    add: async (caller: Caller, request: { agentId: string; memory: NewMemory }): Promise<AddedMemory> => {
      const added = await add(caller, request)
      onWrite()
      return added
    },

    /** One result per memory, in their order; those that can be stored are stored together, under one revision. */
    addMany: async (
      caller: Caller,
      { agentId, memories }: { agentId: string; memories: readonly (NewMemory | AppError)[] },
    ): Promise<readonly BatchResult[]> => {
      const contents = memories.flatMap((memory) => (isAppError(memory) ? [] : [memory.content]))
      await inSlices(tokenizer.prepare(contents), caller.signal)
      const toRow = (memory: NewMemory | AppError) => rowOrProblem(caller, agentId, memory)
      const prepared = await inSlices(mapSteps(memories, toRow), caller.signal)
      const rows = prepared.flatMap((row) => (isAppError(row) ? [] : [row]))
      const stored = await idempotency.runOnce<readonly AddedMemory[]>(caller, {
        agentId,
        operation: async (commit) => {
          if (rows.length === 0) return []
          await reserve(caller, rows)
          return commit(async (tx) => (await insertMemories(tx, rows)).map((row) => addedOf(row, null)))
        },
      })
      onWrite()
      const remaining = stored.values()
      return prepared.map((row): BatchResult => {
        if (isAppError(row)) return { problem: row }
        const { value: memory } = remaining.next()
        return memory === undefined ? { problem: memoryNotFound() } : { memory }
      })
    },
  }
}
