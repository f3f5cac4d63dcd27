/** The verbs of long-term memory. A write is stored or refused with a reason; its index follows by the agent's clock. */
import type { Database, TenantTransaction } from '../../ports/database.ts'
import type { Tokenizer } from '../../ports/tokenizer.ts'
import type { Caller } from '../../shared/caller.ts'
import type { Clock } from '../../shared/clock.ts'
import { type AppError, brokenInvariant, isAppError } from '../../shared/errors.ts'
import type { CreateId } from '../../shared/ids.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../../shared/page.ts'
import type { Idempotency } from '../idempotency/idempotency.service.ts'
import { contentHashOf } from './content-hash.ts'
import { memoryNotFound, memoryVersionMismatch, memoryVersionNotFound } from './memory.errors.ts'
import {
  deleteMemories,
  findMemory,
  insertMemories,
  listMemories,
  listVersions,
  lockMemory,
  type MemoryListFilter,
  type MemoryRow,
  updateMemory,
} from './memory.repository.ts'
import { ensureStorable, expiryOf, memoryRowOf } from './memory-input.ts'
import type { MemorySearch } from './memory-search.service.ts'
import type { AddedMemory, Duplicate, Memory, MemoryChange, MemoryVersion, NewMemory } from './memory-types.ts'

/** `*`: whatever version is there. */
export type ExpectedVersion = number | '*'

export type BatchResult = { readonly memory: AddedMemory } | { readonly problem: AppError }

export type MemoryListRequest = Omit<MemoryListFilter, 'now'> & { readonly order: 'asc' | 'desc' }

export type QuotaGuard = {
  /** @throws AppError `quota.*` (429) when the tenant has no room for these. */
  reserve(caller: Caller, wanted: { readonly memories: number; readonly bytes: number }): Promise<void>
}

type PreparedAddition = { readonly agentId: string; readonly row: MemoryRow; readonly similar: Duplicate | null }

export type MemoryServiceOptions = {
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

export type MemoryService = ReturnType<typeof createMemoryService>

const duplicateCheckMs = 1_000
const identical = 1

export const createMemoryService = (options: MemoryServiceOptions) => {
  const { database, idempotency, search, tokenizer, quota, clock, createId } = options
  const now = () => new Date(clock.nowMs()).toISOString()
  let checksUnderWay = 0

  const rowOf = (memory: NewMemory): MemoryRow =>
    memoryRowOf(memory, { memoryId: createId('mem'), nowMs: clock.nowMs(), tokenizer })

  /**
   * Looks for a near duplicate while the embedder has nothing better to do: one check at a time, and none that takes
   * long. An addition never queues behind a model, so under load only identical contents are reported.
   */
  const findDuplicate = async (caller: Caller, agentId: string, content: string): Promise<Duplicate | null> => {
    if (checksUnderWay > 0) return null
    checksUnderWay += 1
    try {
      const signal = AbortSignal.any([caller.signal, AbortSignal.timeout(duplicateCheckMs)])
      return await search.findSimilar(caller, {
        agentId,
        content,
        defaultThreshold: options.duplicateThreshold(),
        signal,
      })
    } catch (error) {
      if (caller.signal.aborted) throw error
      return null
    } finally {
      checksUnderWay -= 1
    }
  }

  const insert = async (
    tx: TenantTransaction,
    caller: Caller,
    { agentId, rows }: { agentId: string; rows: readonly MemoryRow[] },
  ) => insertMemories(tx, { agentId, spaceId: createId('spc'), changedBy: caller.actor, rows })

  const addedOf = (
    { identicalTo, ...memory }: Memory & { readonly identicalTo: string | null },
    similar: Duplicate | null,
  ): AddedMemory => ({
    ...memory,
    duplicateOf: identicalTo === null ? similar : { memoryId: identicalTo, similarity: identical },
  })

  const reserve = (caller: Caller, rows: readonly MemoryRow[]) =>
    quota.reserve(caller, {
      memories: rows.length,
      bytes: rows.reduce((sum, row) => sum + Buffer.byteLength(row.content), 0),
    })

  /** The locked memory at the expected version. */
  const lockExpected = async (
    tx: TenantTransaction,
    { agentId, memoryId, expected }: { agentId: string; memoryId: string; expected: ExpectedVersion },
  ): Promise<Memory> => {
    const memory = await lockMemory(tx, { agentId, memoryId, now: now() })
    if (memory === null) throw memoryNotFound()
    if (expected !== '*' && expected !== memory.version) throw memoryVersionMismatch(memory.version)
    return memory
  }

  const replace = async (
    tx: TenantTransaction,
    caller: Caller,
    { memory, change }: { memory: Memory; change: MemoryChange },
  ): Promise<Memory> => {
    const content = change.content ?? memory.content
    ensureStorable({ content, metadata: change.metadata })
    return updateMemory(tx, {
      agentId: memory.agentId,
      memoryId: memory.memoryId,
      changedBy: caller.actor,
      after: {
        content,
        memory_type: change.memoryType === undefined ? memory.memoryType : change.memoryType,
        metadata: change.metadata ?? memory.metadata,
        content_hash: contentHashOf(content),
        tokens: content === memory.content ? memory.tokens : tokenizer.countText(content),
        expires_at: change.ttlSeconds === undefined ? memory.expiresAt : expiryOf(change.ttlSeconds, clock.nowMs()),
        updated_at: now(),
      },
    })
  }

  /** Room for it is reserved and near duplicates are looked for; nothing is written yet. */
  const prepareAdd = async (
    caller: Caller,
    { agentId, memory }: { agentId: string; memory: NewMemory },
  ): Promise<PreparedAddition> => {
    const row = rowOf(memory)
    await reserve(caller, [row])
    return { agentId, row, similar: await findDuplicate(caller, agentId, memory.content) }
  }

  const applyAdd = async (
    tx: TenantTransaction,
    caller: Caller,
    { agentId, row, similar }: PreparedAddition,
  ): Promise<AddedMemory> => {
    const [stored] = await insert(tx, caller, { agentId, rows: [row] })
    if (stored === undefined) throw brokenInvariant('A new memory id was taken.')
    return addedOf(stored, similar)
  }

  const applyUpdate = async (
    tx: TenantTransaction,
    caller: Caller,
    {
      agentId,
      memoryId,
      expected,
      changeOf,
    }: { agentId: string; memoryId: string; expected: ExpectedVersion; changeOf: (memory: Memory) => MemoryChange },
  ): Promise<Memory> => {
    const memory = await lockExpected(tx, { agentId, memoryId, expected })
    return replace(tx, caller, { memory, change: changeOf(memory) })
  }

  const applyDelete = async (
    tx: TenantTransaction,
    { agentId, memoryId, expected }: { agentId: string; memoryId: string; expected: ExpectedVersion },
  ): Promise<void> => {
    await lockExpected(tx, { agentId, memoryId, expected })
    await deleteMemories(tx, { agentId, memoryIds: [memoryId] })
  }

  return {
    /** For whoever writes in a transaction of its own, such as a tool call; call `onWrite` when it has committed. */
    prepareAdd,
    applyAdd,
    applyUpdate,
    applyDelete,
    onWrite: options.onWrite,

    add: async (caller: Caller, { agentId, memory }: { agentId: string; memory: NewMemory }): Promise<AddedMemory> => {
      const added = await idempotency.runOnce<AddedMemory>(caller, {
        agentId,
        operation: async (commit) => {
          const prepared = await prepareAdd(caller, { agentId, memory })
          return commit((tx) => applyAdd(tx, caller, prepared))
        },
      })
      options.onWrite()
      return added
    },

    /** One result per memory, in their order; those that can be stored are stored together, under one revision. */
    addMany: async (
      caller: Caller,
      { agentId, memories }: { agentId: string; memories: readonly (NewMemory | AppError)[] },
    ): Promise<readonly BatchResult[]> => {
      const prepared = memories.map((memory) => {
        if (isAppError(memory)) return memory
        try {
          return rowOf(memory)
        } catch (error) {
          if (isAppError(error)) return error
          throw error
        }
      })
      const rows = prepared.flatMap((row) => (isAppError(row) ? [] : [row]))
      const stored = await idempotency.runOnce<readonly AddedMemory[]>(caller, {
        agentId,
        operation: async (commit) => {
          if (rows.length === 0) return []
          await reserve(caller, rows)
          return commit(async (tx) => (await insert(tx, caller, { agentId, rows })).map((row) => addedOf(row, null)))
        },
      })
      options.onWrite()
      const remaining = [...stored].sort((left, right) => (left.memoryId < right.memoryId ? -1 : 1))
      return prepared.map((row): BatchResult => {
        if (isAppError(row)) return { problem: row }
        const memory = remaining.shift()
        return memory === undefined ? { problem: memoryNotFound() } : { memory }
      })
    },

    get: async (caller: Caller, { agentId, memoryId }: { agentId: string; memoryId: string }): Promise<Memory> => {
      const memory = await database.transact(
        caller.tenantId,
        (tx) => findMemory(tx, { agentId, memoryId, now: now() }),
        caller,
      )
      if (memory === null) throw memoryNotFound()
      return memory
    },

    update: async (
      caller: Caller,
      {
        agentId,
        memoryId,
        expected,
        change,
      }: { agentId: string; memoryId: string; expected: ExpectedVersion; change: MemoryChange },
    ): Promise<Memory> => {
      const updated = await database.transact(
        caller.tenantId,
        (tx) => applyUpdate(tx, caller, { agentId, memoryId, expected, changeOf: () => change }),
        caller,
      )
      options.onWrite()
      return updated
    },

    delete: async (
      caller: Caller,
      target: { agentId: string; memoryId: string; expected: ExpectedVersion },
    ): Promise<void> => {
      await database.transact(caller.tenantId, (tx) => applyDelete(tx, target), caller)
      options.onWrite()
    },

    list: async (caller: Caller, request: MemoryListRequest, { cursor, limit }: PageRequest): Promise<Page<Memory>> => {
      const [after] = decodeCursor(cursor, [''] as const)
      const { order, ...filter } = request
      const rows = await database.transact(
        caller.tenantId,
        (tx) => listMemories(tx, { filter: { ...filter, now: now() }, after, order, limit: limit + 1 }),
        caller,
      )
      return pageOf(rows, { limit, keysOf: (memory) => [memory.memoryId], map: (memory) => memory })
    },

    /** The newest first, the present one among them. */
    listVersions: async (
      caller: Caller,
      { agentId, memoryId }: { agentId: string; memoryId: string },
      { cursor, limit }: PageRequest,
    ): Promise<Page<MemoryVersion>> => {
      const [before] = decodeCursor(cursor, [Number.MAX_SAFE_INTEGER] as readonly [number])
      const rows = await database.transact(
        caller.tenantId,
        async (tx) => {
          const memory = await findMemory(tx, { agentId, memoryId, now: now() })
          if (memory === null) throw memoryNotFound()
          const bound = Math.min(before, memory.version)
          const older = await listVersions(tx, { agentId, memoryId, before: bound, limit: limit + 1 })
          const present = { ...memory, createdAt: memory.updatedAt }
          return before > memory.version ? [present, ...older] : older
        },
        caller,
      )
      return pageOf(rows, { limit, keysOf: (version) => [version.version], map: (version) => version })
    },

    /** Content, type and metadata of an older version as a new one (M8). */
    revert: async (
      caller: Caller,
      {
        agentId,
        memoryId,
        version,
        expected,
      }: { agentId: string; memoryId: string; version: number; expected: ExpectedVersion },
    ): Promise<Memory> => {
      const reverted = await idempotency.runOnce<Memory>(caller, {
        agentId,
        operation: (commit) =>
          commit(async (tx) => {
            const memory = await lockExpected(tx, { agentId, memoryId, expected })
            const [found] = await listVersions(tx, { agentId, memoryId, before: version + 1, limit: 1 })
            const wanted = version === memory.version ? memory : found
            if (wanted === undefined || wanted.version !== version) throw memoryVersionNotFound()
            const { content, memoryType, metadata } = wanted
            return replace(tx, caller, { memory, change: { content, memoryType, metadata } })
          }),
      })
      options.onWrite()
      return reverted
    },
  }
}
