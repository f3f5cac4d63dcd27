/** Export and import of an agent's memories, as streams in bounded memory: pages out, chunks in. */
import type { Caller } from '../../shared/caller.ts'
import { createImportAll, type ImportAll, type MemoryImportOptions } from './memory-import.ts'
import { readExportPage, startOf } from './memory-list.repository.ts'
import type { Memory } from './memory-types.ts'

const pageBounds = { limit: 100, bytesMax: 262_144 }

export type MemoryTransfer = {
  /** Every memory that is visible now, by creation, a page of 100 or about 256 KiB in memory at a time. */
  exportAll(caller: Caller, agentId: string): AsyncGenerator<readonly Memory[]>
  readonly importAll: ImportAll
}

export const createMemoryTransfer = (options: MemoryImportOptions): MemoryTransfer => {
  const { database, clock } = options

  return {
    exportAll: async function* (caller, agentId) {
      const now = new Date(clock.nowMs()).toISOString()
      let after = startOf('asc')
      for (;;) {
        const page = await database.transact(
          caller.tenantId,
          (tx) => readExportPage(tx, { agentId, after, now, ...pageBounds }),
          caller,
        )
        const last = page.at(-1)
        if (last === undefined) return
        yield page
        after = last
      }
    },

    importAll: createImportAll(options),
  }
}
