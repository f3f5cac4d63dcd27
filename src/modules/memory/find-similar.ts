/** The check for a near duplicate: the one memory whose vector is nearest to a content's. */
import type { Database } from '../../ports/database.ts'
import type { Embedder } from '../../ports/embedder.ts'
import type { VectorIndex } from '../../ports/vector-index.ts'
import type { Caller } from '../../shared/caller.ts'
import type { Clock } from '../../shared/clock.ts'
import type { Duplicate } from './memory-types.ts'
import { findSearchAgent } from './search.repository.ts'

/**
 * The most similar memory by cosine when it reaches the agent's duplicate threshold; above 1 the threshold turns the
 * check `off`. @throws AppError when the embedder or the index cannot say before `signal` aborts
 */
export type FindSimilar = (
  caller: Caller,
  request: {
    readonly agentId: string
    readonly content: string
    readonly defaultThreshold: number
    readonly signal: AbortSignal
  },
) => Promise<Duplicate | null | 'off'>

export type FindSimilarOptions = {
  readonly database: Database
  readonly vectorIndex: VectorIndex
  readonly embedder: Embedder
  readonly clock: Clock
}

export const createFindSimilar =
  ({ database, vectorIndex, embedder, clock }: FindSimilarOptions): FindSimilar =>
  async (caller, { agentId, content, defaultThreshold, signal }) => {
    const agent = await database.transact(caller.tenantId, (tx) => findSearchAgent(tx, agentId), caller)
    const threshold = agent?.duplicateThreshold ?? defaultThreshold
    if (threshold > 1) return 'off'
    if (agent === null) return null
    const [dense] = await embedder.embed([content], 'passage', { signal, tenantId: caller.tenantId })
    if (dense === undefined) return null
    const query = { dense, sparse: null, filter: { facets: [], nowMs: clock.nowMs() }, limit: 1 }
    const [best] = (await vectorIndex.search(caller.tenantId, agent.spaceId, query, { signal })).dense
    return best !== undefined && best.score >= threshold ? { memoryId: best.memoryId, similarity: best.score } : null
  }
