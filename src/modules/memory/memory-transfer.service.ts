/** Export and import of an agent's memories, as streams in bounded memory: pages out, chunks in. */
import type { Caller } from '../../shared/caller.ts'
import { createImportAll, type ImportAll, type MemoryImportOptions } from './memory-import.ts'
import { listMemories, startOf } from './memory-list.repository.ts'
import type { Memory } from './memory-types.ts'

const pageSize = 100

export type MemoryTransfer = {
  /** Every memory that is visible now, by creation, a page in memory at a time. */
  exportAll(caller: Caller, agentId: string): AsyncGenerator<readonly Memory[]>
  readonly importAll: ImportAll
}

export const createMemoryTransfer = (options: MemoryImportOptions): MemoryTransfer => {
  const { database, clock } = options

  return {
    exportAll: async function* (caller, agentId) {
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

    importAll: createImportAll(options),
  }
}
