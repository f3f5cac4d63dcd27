/** PostgreSQL has the last word on what a search found: it gives the texts, and nothing for what is no longer there. */
import type { Database } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import type { Clock } from '../../shared/clock.ts'
import { findMemories } from './memory.repository.ts'
import type { Memory } from './memory-types.ts'
import type { RankedMemory } from './ranking.ts'

export type SearchResult = { readonly memory: Memory; readonly score: number; readonly scores: RankedMemory['scores'] }

export type BestRequest = {
  readonly agentId: string
  readonly topK: number
  /** Best first. */
  readonly ranked: readonly RankedMemory[]
}

/** More than are wanted, since some that the index names may be gone: mostly one read is enough. */
const spare = 20

/** The best memories that PostgreSQL confirms, at most `topK`. */
export const createReadBest = ({ database, clock }: { readonly database: Database; readonly clock: Clock }) => {
  const readRanked = async (caller: Caller, agentId: string, ranked: readonly RankedMemory[]) => {
    const memoryIds = ranked.map(({ memoryId }) => memoryId)
    const now = new Date(clock.nowMs()).toISOString()
    const memories = await database.transact(
      caller.tenantId,
      (tx) => findMemories(tx, { agentId, memoryIds, now }),
      caller,
    )
    const byId = new Map(memories.map((memory) => [memory.memoryId, memory]))
    return ranked.flatMap(({ memoryId, score, scores }): SearchResult[] => {
      const memory = byId.get(memoryId)
      return memory === undefined ? [] : [{ memory, score, scores }]
    })
  }

  return async (caller: Caller, { agentId, topK, ranked }: BestRequest): Promise<readonly SearchResult[]> => {
    const results: SearchResult[] = []
    const sliceSize = topK + spare
    for (let start = 0; start < ranked.length && results.length < topK; start += sliceSize)
      results.push(...(await readRanked(caller, agentId, ranked.slice(start, start + sliceSize))))
    return results.slice(0, topK)
  }
}
