/**
 * The check for a near duplicate. The vectors say which memories are about the same: those of the index, and of what was
 * written so lately that the index does not hold it, the few that share words with the content. Whether such a memory says
 * the same, or something else of the same, its text decides (fact-differences.ts).
 */
import type { Database } from '../../ports/database.ts'
import type { Embedder } from '../../ports/embedder.ts'
import type { VectorIndex } from '../../ports/vector-index.ts'
import type { Caller } from '../../shared/caller.ts'
import type { Clock } from '../../shared/clock.ts'
import { cosineOf } from '../../shared/cosine.ts'
import { createComparer, type Difference } from './fact-differences.ts'
import type { Similar } from './memory-types.ts'
import { findSearchAgent } from './search.repository.ts'
import { type KnownText, readFreshTexts, readTexts } from './similar.repository.ts'

/**
 * The most similar memory by cosine among those that reach the agent's duplicate threshold and say the same; if none does,
 * among those that say something else. Above 1 the threshold turns the check off.
 * @throws AppError when the embedder or the index cannot say before `signal` aborts
 */
export type FindSimilar = (
  caller: Caller,
  request: {
    readonly agentId: string
    readonly content: string
    readonly defaultThreshold: number
    readonly signal: AbortSignal
  },
) => Promise<Similar>

export type FindSimilarOptions = {
  readonly database: Database
  readonly vectorIndex: VectorIndex
  readonly embedder: Embedder
  readonly clock: Clock
}

/** Memories that the index does not hold yet and that are looked at; of those alike in words, these many are embedded. */
const freshMax = 32
const freshCharactersMax = 16_384
const freshEmbeddedMax = 4
const hitsMax = 5

export const noneSimilar: Similar = { duplicateOf: null, relatedTo: null }

/** What the vectors hold for alike, with what its text says. */
type Candidate = {
  readonly memoryId: string
  readonly similarity: number
  readonly differs: readonly Difference[]
}

/** The first ones, as far as their characters fit. */
const fitting = (texts: readonly KnownText[]): readonly KnownText[] => {
  let characters = 0
  return texts.filter(({ content }) => {
    characters += content.length
    return characters <= freshCharactersMax
  })
}

const choose = (candidates: readonly Candidate[]): Similar => {
  const best = [...candidates].sort((one, other) => other.similarity - one.similarity)
  const duplicate = best.find(({ differs }) => differs.length === 0)
  if (duplicate === undefined) return { duplicateOf: null, relatedTo: best[0] ?? null }
  const { memoryId, similarity } = duplicate
  return { duplicateOf: { memoryId, similarity }, relatedTo: null }
}

export const createFindSimilar =
  ({ database, vectorIndex, embedder, clock }: FindSimilarOptions): FindSimilar =>
  async (caller, { agentId, content, defaultThreshold, signal }) => {
    const { tenantId } = caller
    const nowMs = clock.nowMs()
    const now = new Date(nowMs).toISOString()
    const [agent, unindexed] = await database.transact(
      tenantId,
      (tx) => Promise.all([findSearchAgent(tx, agentId), readFreshTexts(tx, { agentId, now, limit: freshMax })]),
      caller,
    )
    const threshold = agent?.duplicateThreshold ?? defaultThreshold
    if (agent === null || threshold > 1) return noneSimilar

    const compare = createComparer(content)
    const compared = ({ memory_id: memoryId, content: known }: KnownText, similarity: number): readonly Candidate[] => {
      const differs = similarity < threshold ? null : compare(known)
      return differs === null ? [] : [{ memoryId, similarity, differs }]
    }
    const fresh = fitting(unindexed)
      .filter((known) => compare(known.content) !== null)
      .slice(0, freshEmbeddedMax)
    const texts = [content, ...fresh.map((known) => known.content)]
    const [dense, ...vectors] = await embedder.embed(texts, 'passage', { signal, tenantId })
    if (dense === undefined) return noneSimilar

    const query = { dense, sparse: null, filter: { facets: [], nowMs }, limit: hitsMax }
    const hits = (await vectorIndex.search(tenantId, agent.spaceId, query, { signal })).dense
    const changedIds = new Set(unindexed.map(({ memory_id }) => memory_id))
    const near = new Map(
      hits.flatMap(({ memoryId, score }): [string, number][] =>
        score < threshold || changedIds.has(memoryId) ? [] : [[memoryId, score]],
      ),
    )
    const known =
      near.size === 0
        ? []
        : await database.transact(
            tenantId,
            (tx) => readTexts(tx, { agentId, memoryIds: [...near.keys()], now }),
            caller,
          )
    return choose([
      ...fresh.flatMap((text, at) => compared(text, cosineOf(dense, vectors[at] ?? new Float32Array()))),
      ...known.flatMap((text) => compared(text, near.get(text.memory_id) ?? 0)),
    ])
  }
