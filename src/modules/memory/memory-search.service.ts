/**
 * Search: the index proposes, PostgreSQL decides. The index (dense and sparse lists in one exchange) covers everything
 * up to the clock's indexed revision; what was written after it is scored here, by its words always and by its vector
 * where there is one, so a search sees every write that was acknowledged before it (M4). Texts are then read from
 * PostgreSQL under row level security: a deleted, expired or foreign id that an index still names yields nothing (M3),
 * and when that leaves too few, the index is asked for more. What could not take part is named in `degraded`.
 */
import type { Database } from '../../ports/database.ts'
import type { Embedder } from '../../ports/embedder.ts'
import type { IndexAnswer, IndexFilter, SparseVector, VectorIndex } from '../../ports/vector-index.ts'
import type { Caller } from '../../shared/caller.ts'
import type { Clock } from '../../shared/clock.ts'
import { isAppError } from '../../shared/errors.ts'
import type { Metadata } from '../../shared/metadata.ts'
import { inSlices, type Steps } from '../../shared/yielding.ts'
import { facetsOf, typeFacetOf } from '../indexing/facets.ts'
import { queryVectorSteps, termIdSteps } from '../indexing/lexical.ts'
import { createFindSimilar, type FindSimilar } from './find-similar.ts'
import { createReadFreshVectors } from './fresh-vectors.ts'
import { type Overlay, overlaidSteps, termCountSteps } from './overlay.ts'
import { hybridHitsPerKind, type RankingMode, rankMemories } from './ranking.ts'
import { createReadBest, type SearchResult } from './read-best.ts'
import { createReadOverlay } from './read-overlay.ts'
import { readSearchStart, type SearchAgent } from './search.repository.ts'

/** What was not there and what stood in: `embedder`: words alone; `vector_index`: a search without Qdrant; … */
export type Degraded = 'embedder' | 'vector_index' | 'index_lag'

export type SearchRequest = {
  readonly agentId: string
  readonly query: string
  readonly topK: number
  readonly mode: RankingMode
  readonly metadataFilter: Metadata
  readonly memoryType: string | null
  readonly minScore: number | null
}

export type SearchAnswer = { readonly results: readonly SearchResult[]; readonly degraded: readonly Degraded[] }

export type MemorySearch = {
  search(caller: Caller, request: SearchRequest): Promise<SearchAnswer>
  readonly findSimilar: FindSimilar
}

export type MemorySearchOptions = {
  readonly database: Database
  readonly vectorIndex: VectorIndex
  /** Answers while `vectorIndex` cannot; null when there is none. */
  readonly fallbackIndex: VectorIndex | null
  readonly embedder: Embedder
  readonly clock: Clock
  readonly embedTimeoutMs: number
  readonly indexTimeoutMs: number
}

const roundsMax = 3

type Prepared = {
  readonly agent: SearchAgent
  readonly dense: Float32Array | null
  readonly sparse: SparseVector | null
  readonly filter: IndexFilter
  readonly overlay: Overlay
  readonly degraded: Set<Degraded>
}

/** The words of a query, weighed by the memories that are indexed and those that are not yet. */
function* wordSteps({
  termIds,
  statistics: { frequencies, documentCount },
  points,
}: {
  termIds: readonly number[]
  statistics: { readonly frequencies: ReadonlyMap<number, number>; readonly documentCount: number }
  points: Overlay['points']
}): Steps<SparseVector> {
  const fresh = yield* termCountSteps({ points }, termIds)
  return yield* queryVectorSteps(termIds, {
    documentCount: documentCount + points.length,
    documentFrequencyOf: (termId) => (frequencies.get(termId) ?? 0) + (fresh.get(termId) ?? 0),
  })
}

export const createMemorySearch = (options: MemorySearchOptions): MemorySearch => {
  const { database, vectorIndex, fallbackIndex, embedder, clock } = options
  const readBest = createReadBest(options)
  const readFreshVectors = createReadFreshVectors(options)
  const readOverlay = createReadOverlay(options)

  const embedQuery = async (caller: Caller, text: string, degraded: Set<Degraded>): Promise<Float32Array | null> => {
    const signal = AbortSignal.any([caller.signal, AbortSignal.timeout(options.embedTimeoutMs)])
    try {
      const [vector] = await embedder.embed([text], 'query', { signal, tenantId: caller.tenantId })
      return vector ?? null
    } catch (error) {
      if (caller.signal.aborted) throw error
      degraded.add('embedder')
      return null
    }
  }

  /** The query's vector, and with it those of memories that have none yet. */
  const readMeaning = async (
    caller: Caller,
    {
      target,
      embedding,
      degraded,
    }: {
      target: { agentId: string; agent: SearchAgent }
      embedding: Promise<Float32Array | null> | null
      degraded: Set<Degraded>
    },
  ): Promise<{ dense: Float32Array | null; embedded: Overlay['embedded'] }> => {
    if (embedding === null) return { dense: null, embedded: [] }
    const [dense, fresh] = await Promise.all([embedding, readFreshVectors(caller, target)])
    if (!fresh.isWhole && dense !== null) degraded.add('index_lag')
    return { dense, embedded: fresh.points }
  }

  const prepare = async (caller: Caller, request: SearchRequest): Promise<Prepared | null> => {
    const degraded = new Set<Degraded>()
    const termIds = request.mode === 'semantic' ? [] : await inSlices(termIdSteps(request.query), caller.signal)
    const embedding = request.mode === 'keyword' ? null : embedQuery(caller, request.query, degraded)
    embedding?.catch(() => undefined)
    const read = await database.transact(
      caller.tenantId,
      (tx) => readSearchStart(tx, { agentId: request.agentId, termIds }),
      caller,
    )
    if (read === null) return null
    const { agent, frequencies } = read
    const target = { agentId: request.agentId, agent }
    const meaning = readMeaning(caller, { target, embedding, degraded })
    meaning.catch(() => undefined)
    const changed = await readOverlay(caller, target, { termIds, metadataFilter: request.metadataFilter })
    if (!changed.isWhole) degraded.add('index_lag')
    const statistics = { frequencies, documentCount: agent.documentCount }
    const sparse =
      request.mode === 'semantic'
        ? null
        : await inSlices(wordSteps({ termIds, statistics, points: changed.points }), caller.signal)
    const typeFacets = request.memoryType === null ? [] : [typeFacetOf(request.memoryType)]
    const facets = [...facetsOf(request.metadataFilter, null), ...typeFacets]
    const filter = { facets, nowMs: clock.nowMs() }
    const { dense, embedded } = await meaning
    return { agent, dense, sparse, filter, overlay: { ...changed, embedded }, degraded }
  }

  const askIndex = async (caller: Caller, prepared: Prepared, limit: number): Promise<IndexAnswer> => {
    const { agent, dense, sparse, filter } = prepared
    const query = { dense, sparse, filter, limit }
    try {
      const signal = AbortSignal.any([caller.signal, AbortSignal.timeout(options.indexTimeoutMs)])
      return await vectorIndex.search(caller.tenantId, agent.spaceId, query, { signal })
    } catch (error) {
      if (caller.signal.aborted) throw error
      // Without a stand-in, what only an operator can mend is told as what it is.
      if (fallbackIndex === null && isAppError(error) && !error.retryable) throw error
      prepared.degraded.add('vector_index')
      if (fallbackIndex === null) return { dense: [], sparse: [] }
      return fallbackIndex.search(caller.tenantId, agent.spaceId, query, { signal: caller.signal })
    }
  }

  return {
    search: async (caller, request) => {
      const prepared = await prepare(caller, request)
      if (prepared === null) return { results: [], degraded: [] }
      const mode = prepared.dense === null && request.mode === 'semantic' ? 'keyword' : request.mode
      let limit = Math.max(hybridHitsPerKind, request.topK)
      for (let round = 1; ; round += 1) {
        const answer = await askIndex(caller, prepared, limit)
        const overlaid = await inSlices(overlaidSteps(answer, prepared.overlay, { ...prepared, limit }), caller.signal)
        const ranked = rankMemories(mode, overlaid).filter(
          ({ score }) => request.minScore === null || score >= request.minScore,
        )
        const results = await readBest(caller, { ...request, ranked })
        const exhausted = Math.max(answer.dense.length, answer.sparse.length) < limit
        if (results.length >= request.topK || exhausted || round === roundsMax)
          return { results, degraded: [...prepared.degraded] }
        limit *= 4
      }
    },

    findSimilar: createFindSimilar(options),
  }
}
