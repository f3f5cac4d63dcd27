/** The verbs of long-term memory. A write is stored or refused with a reason; its index follows by the agent's clock. */
import type { Database, TenantTransaction } from '../../ports/database.ts'
import type { Tokenizer } from '../../ports/tokenizer.ts'
import type { Caller } from '../../shared/caller.ts'
import type { Clock } from '../../shared/clock.ts'
import { type ExpectedVersion, isExpected } from '../../shared/expected-version.ts'
import { decodeCursor, invalidCursor, type Page, type PageRequest, pageOf } from '../../shared/page.ts'
import { inSlices } from '../../shared/yielding.ts'
import type { Idempotency } from '../idempotency/idempotency.service.ts'
import { contentHashOf } from './content-hash.ts'
import { memoryNotFound, memoryVersionMismatch, memoryVersionNotFound } from './memory.errors.ts'
import { deleteMemories, findMemory, lockMemory, updateMemory } from './memory.repository.ts'
import type { MemoryAdditions } from './memory-additions.ts'
import { ensureStorable, expiryOf } from './memory-input.ts'
import {
  type CreationPlace,
  type ListOrder,
  listMemories,
  listVersions,
  type MemoryListFilter,
  startOf,
} from './memory-list.repository.ts'
import type { Memory, MemoryChange, MemoryVersion } from './memory-types.ts'

export type MemoryListRequest = Omit<MemoryListFilter, 'now'> & { readonly order: ListOrder }

export type MemoryServiceOptions = {
  readonly database: Database
  readonly idempotency: Idempotency
  readonly tokenizer: Tokenizer
  readonly clock: Clock
  readonly additions: MemoryAdditions
}

export type MemoryService = ReturnType<typeof createMemoryService>

const momentPattern = /^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/

/** A moment in the form in which the database gives it, and none that a Date would carry over into the next month. */
const isStoredMoment = (text: string): boolean => {
  const ms = momentPattern.test(text) ? Date.parse(text) : Number.NaN
  return !Number.isNaN(ms) && new Date(ms).toISOString().slice(0, 19) === text.slice(0, 19)
}

const placeOf = ({ list, cursor }: { list: string; cursor: string | null }, order: ListOrder): CreationPlace => {
  const start = startOf(order)
  if (cursor === null) return start
  const [createdAt, memoryId] = decodeCursor({ list, cursor }, [start.createdAt, start.memoryId] as const)
  if (!isStoredMoment(createdAt)) throw invalidCursor()
  return { createdAt, memoryId }
}

export const createMemoryService = (options: MemoryServiceOptions) => {
  const { database, idempotency, tokenizer, clock, additions } = options
  const { onWrite } = additions
  const now = () => new Date(clock.nowMs()).toISOString()

  /** The locked memory at the expected version. */
  const lockExpected = async (
    tx: TenantTransaction,
    { agentId, memoryId, expected }: { agentId: string; memoryId: string; expected: ExpectedVersion },
  ): Promise<Memory> => {
    const memory = await lockMemory(tx, { agentId, memoryId, now: now() })
    if (memory === null) throw memoryNotFound()
    if (!isExpected(expected, memory.version)) throw memoryVersionMismatch(memory.version)
    return memory
  }

  const replace = async (
    tx: TenantTransaction,
    caller: Caller,
    { memory, change }: { memory: Memory; change: MemoryChange },
  ): Promise<Memory> => {
    const { content = memory.content, metadata = memory.metadata } = change
    ensureStorable({ content, metadata: change.metadata, memoryType: change.memoryType })
    if (content !== memory.content) await inSlices(tokenizer.prepare([content]), caller.signal)
    return updateMemory(tx, {
      agentId: memory.agentId,
      memoryId: memory.memoryId,
      changedBy: caller.actor,
      after: {
        content,
        memory_type: change.memoryType === undefined ? memory.memoryType : change.memoryType,
        metadata,
        content_hash: contentHashOf(content),
        tokens: content === memory.content ? memory.tokens : tokenizer.countText(content),
        expires_at: change.ttlSeconds === undefined ? memory.expiresAt : expiryOf(change.ttlSeconds, clock.nowMs()),
        updated_at: now(),
      },
    })
  }

  const applyUpdate = async (
    tx: TenantTransaction,
    caller: Caller,
    {
      agentId,
      memoryId,
      expected,
      changeOf,
    }: {
      agentId: string
      memoryId: string
      expected: ExpectedVersion
      changeOf: (memory: Memory) => MemoryChange
    },
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
    ...additions,
    /** For whoever writes in a transaction of its own, such as a tool call; call `onWrite` when it has committed. */
    applyUpdate,
    applyDelete,

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
      const updated = await idempotency.runOnce<Memory>(caller, {
        agentId,
        operation: (commit) =>
          commit((tx) => applyUpdate(tx, caller, { agentId, memoryId, expected, changeOf: () => change })),
      })
      onWrite()
      return updated
    },

    delete: async (
      caller: Caller,
      target: { agentId: string; memoryId: string; expected: ExpectedVersion },
    ): Promise<void> => {
      await database.transact(caller.tenantId, (tx) => applyDelete(tx, target), caller)
      onWrite()
    },

    list: async (caller: Caller, request: MemoryListRequest, { cursor, limit }: PageRequest): Promise<Page<Memory>> => {
      const { order, ...filter } = request
      const list = `memories ${order} ${filter.agentId}`
      const after = placeOf({ list, cursor }, order)
      const rows = await database.transact(
        caller.tenantId,
        (tx) => listMemories(tx, { filter: { ...filter, now: now() }, after, order, limit: limit + 1 }),
        caller,
      )
      return pageOf(rows, {
        list,
        limit,
        keysOf: ({ createdAt, memoryId }) => [createdAt, memoryId],
      })
    },

    /** The newest first, the present one among them. */
    listVersions: async (
      caller: Caller,
      { agentId, memoryId }: { agentId: string; memoryId: string },
      { cursor, limit }: PageRequest,
    ): Promise<Page<MemoryVersion>> => {
      const list = `versions ${memoryId}`
      const [before] = decodeCursor({ list, cursor }, [Number.MAX_SAFE_INTEGER] as readonly [number])
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
      return pageOf(rows, { list, limit, keysOf: (version) => [version.version] })
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
            if (version > memory.version) throw memoryVersionNotFound()
            const [found] = await listVersions(tx, { agentId, memoryId, before: version + 1, limit: 1 })
            const wanted = version === memory.version ? memory : found
            if (wanted?.version !== version) throw memoryVersionNotFound()
            const { content, memoryType, metadata } = wanted
            return replace(tx, caller, { memory, change: { content, memoryType, metadata } })
          }),
      })
      onWrite()
      return reverted
    },
  }
}
