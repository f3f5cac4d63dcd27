/** Short words for what tests of the index do with an agent's memory. */
import type { SearchAnswer, SearchRequest } from '../../src/modules/memory/memory-search.service.ts'
import type { Caller } from '../../src/shared/caller.ts'
import type { TestModules } from './modules.ts'

export const searchIn = (
  { search }: TestModules,
  caller: Caller,
  { agentId, query, ...more }: Partial<SearchRequest> & { agentId: string; query: string },
): Promise<SearchAnswer> =>
  search.search(caller, {
    ...{ agentId, query, topK: 10, mode: 'hybrid', metadataFilter: {}, memoryType: null, minScore: null },
    ...more,
  })

export const contentsOf = ({ results }: SearchAnswer): readonly string[] => results.map(({ memory }) => memory.content)

/** Answers the ids. */
export const addTo = async (
  { memories }: TestModules,
  caller: Caller,
  { agentId, contents }: { agentId: string; contents: readonly string[] },
): Promise<readonly string[]> => {
  const added = await memories.addMany(caller, { agentId, memories: contents.map((content) => ({ content })) })
  return added.flatMap((result) => ('memory' in result ? [result.memory.memoryId] : []))
}

/** Rounds of the keeper and of the indexer until neither finds anything to do. */
export const settleIndex = async ({ indexKeeper, indexer }: TestModules, rounds = 4): Promise<void> => {
  for (let round = 0; round < rounds; round += 1) {
    await indexKeeper.runOnce()
    await indexer.drain()
  }
}
