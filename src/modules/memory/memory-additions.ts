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
import { type CheckedDuplicate, createDuplicateCheck } from './duplicate-check.ts'
import { noneSimilar } from './find-similar.ts'
import { createGroupCommit } from './group-commit.ts'
import { memoryNotFound } from './memory.errors.ts'
import { newMemoryRow } from './memory-input.ts'
import { type InsertedMemory, insertMemories } from './memory-insert.repository.ts'
import type { NewMemoryRow } from './memory-row.ts'
import type { MemorySearch } from './memory-search.service.ts'
import type { AddedMemory, NewMemory } from './memory-types.ts'

export type BatchResult = { readonly memory: AddedMemory } | { readonly problem: AppError }

type PreparedAddition = { readonly row: NewMemoryRow } & CheckedDuplicate

export type MemoryAdditionsOptions = {
  readonly database: Database
  readonly idempotency: Idempotency
  readonly search: MemorySearch
  readonly tokenizer: Tokenizer
  readonly clock: Clock
  readonly createId: CreateId
  /** Cosine from which another memory is reported as a duplicate, where the agent sets none. */
  readonly duplicateThreshold: () => number
  readonly onWrite: () => void
}

const identical = 1
const group = { sizeMax: 128, groupsMax: 4, patienceMs: 20 }

/** Of a batch. */
const identicalAlone: CheckedDuplicate = { similar: noneSimilar, check: 'identical' }

export type MemoryAdditions = ReturnType<typeof createMemoryAdditions>

export const createMemoryAdditions = (options: MemoryAdditionsOptions) => {
  const { database, idempotency, search, tokenizer, clock, createId, onWrite } = options
  const findDuplicate = createDuplicateCheck({
    findSimilar: search.findSimilar,
    clock,
    threshold: options.duplicateThreshold,
  })

  /** A threshold above 1 says that nothing is to be reported, be it identical. */
  const addedOf = ({ identicalTo, ...stored }: InsertedMemory, { similar, check }: CheckedDuplicate): AddedMemory => {
    const { agentDuplicateThreshold, ...memory } = stored
    const isOff = (agentDuplicateThreshold ?? options.duplicateThreshold()) > 1
    if (isOff) return { ...memory, ...noneSimilar, duplicateCheck: 'off' }
    if (identicalTo === null) return { ...memory, ...similar, duplicateCheck: check }
    const duplicateOf = { memoryId: identicalTo, similarity: identical }
    return { ...memory, duplicateOf, relatedTo: null, duplicateCheck: check }
  }

  const insertInGroup = createGroupCommit<NewMemoryRow, InsertedMemory>({
    commit: (tenantId, rows) => database.transact(tenantId, (tx) => insertMemories(tx, rows)),
    ...group,
  })

  const rowOf = (caller: Caller, agentId: string, memory: NewMemory): NewMemoryRow => {
    const ids = { agentId, memoryId: createId('mem'), spaceId: createId('spc'), changedBy: caller.actor }
    return newMemoryRow(memory, { ids, nowMs: clock.nowMs(), tokenizer })
  }

  /** Near duplicates are looked for; nothing is written yet. */
  const prepareAdd = async (
    caller: Caller,
    { agentId, memory }: { agentId: string; memory: NewMemory },
  ): Promise<PreparedAddition> => {
    await inSlices(tokenizer.prepare([memory.content]), caller.signal)
    const row = rowOf(caller, agentId, memory)
    return { row, ...(await findDuplicate(caller, { agentId, content: memory.content })) }
  }

  const applyAdd = async (tx: TenantTransaction, { row, ...checked }: PreparedAddition): Promise<AddedMemory> => {
    const [stored] = await insertMemories(tx, [row])
    if (stored === undefined) throw brokenInvariant('A new memory was not stored.')
    return addedOf(stored, checked)
  }

  const add = async (caller: Caller, request: { agentId: string; memory: NewMemory }): Promise<AddedMemory> => {
    if (caller.idempotency === null) {
      const { row, ...checked } = await prepareAdd(caller, request)
      return addedOf(await insertInGroup(caller.tenantId, row, caller.signal), checked)
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
          return commit(async (tx) => (await insertMemories(tx, rows)).map((row) => addedOf(row, identicalAlone)))
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
