/**
 * Searches a space held in memory, whole: nothing is approximate. First the rows that the filter lets through, then the
 * scores of those alone, so the best k are the best of what matches (M9). A long search is done in slices and gives the
 * event loop back in between; whoever calls sees to it that the space does not change meanwhile.
 *
 * Vectors are searched in two passes: a coarse one that rules out what cannot be among the best, and one that scores the
 * rest in floats. Scores are what 32-bit floats give, as in Qdrant, so that hits with the same score are ties in both.
 */
import type { IndexAnswer, IndexFilter, IndexHit, IndexQuery, SparseVector } from '../../ports/vector-index.ts'
import { toCosine } from '../../shared/cosine.ts'
import { type ExactSpace, rowState } from './exact-space.ts'
import { createPacer, type Pacer } from './pacer.ts'
import type { Postings, Term } from './postings.ts'
import { scanVectors } from './scan-vectors.ts'
import { createTopHits, type TopHits } from './top-hits.ts'

/** Between looks at the time: some 100 microseconds of work. */
const postingsPerLook = 8_192
const rowsPerLook = 16_384

type Scan = { readonly space: ExactSpace; readonly eligible: Uint8Array; readonly hits: TopHits; readonly pacer: Pacer }

type TermVisit = { readonly term: Term; readonly visit: (row: number, value: number) => void }

const visitTerm = async (postings: Postings, { term, visit }: TermVisit, pacer: Pacer): Promise<void> => {
  for (let at = postings.first(term); at >= 0; ) {
    at = postings.walk(at, postingsPerLook, visit)
    await pacer.pause()
  }
}

/** 1 for each row that the filter lets through. */
const findEligible = async (space: ExactSpace, filter: IndexFilter, pacer: Pacer): Promise<Uint8Array> => {
  const rowCount = space.rowCount()
  const facets = new Set(filter.facets)
  const matches = new Uint32Array(rowCount)
  for (const term of facets) {
    const visit = (row: number) => {
      matches[row] = (matches[row] ?? 0) + 1
    }
    await visitTerm(space.postings, { term, visit }, pacer)
  }
  const eligible = new Uint8Array(rowCount)
  for (let start = 0; start < rowCount; start += rowsPerLook) {
    for (let row = start; row < Math.min(rowCount, start + rowsPerLook); row += 1) {
      const isMatch = matches[row] === facets.size && space.expiryMsOf(row) > filter.nowMs
      eligible[row] = isMatch && space.stateOf(row) !== rowState.empty ? 1 : 0
    }
    await pacer.pause()
  }
  return eligible
}

const scanWords = async ({ space, eligible, hits, pacer }: Scan, query: SparseVector): Promise<void> => {
  const scores = new Float32Array(eligible.length)
  for (const [at, term] of query.indices.entries()) {
    const weight = Math.fround(query.values[at] ?? 0)
    const visit = (row: number, value: number) => {
      scores[row] = (scores[row] ?? 0) + Math.fround(value * weight)
    }
    await visitTerm(space.postings, { term, visit }, pacer)
  }
  for (let start = 0; start < scores.length; start += rowsPerLook) {
    for (let row = start; row < Math.min(scores.length, start + rowsPerLook); row += 1) {
      const score = scores[row] ?? 0
      if (score !== 0 && eligible[row] === 1) hits.offer(row, score)
    }
    await pacer.pause()
  }
}

const withCosine = (hit: IndexHit): IndexHit => ({ ...hit, score: toCosine(hit.score) })

/** @throws the signal's reason */
export const searchExactly = async (
  space: ExactSpace,
  query: IndexQuery,
  signal?: AbortSignal,
): Promise<IndexAnswer> => {
  const pacer = createPacer(signal)
  const eligible = await findEligible(space, query.filter, pacer)
  const limit = Math.min(query.limit, Math.max(1, space.size()))
  const newHits = () => createTopHits(limit, space.memoryIdOf)
  const hitsOf = (hits: TopHits): readonly IndexHit[] =>
    hits.take().map(({ row, score }) => ({ memoryId: space.memoryIdOf(row), score, source: space.sourceOf(row) }))
  const [nearest, wordiest] = [newHits(), newHits()]
  if (query.dense !== null) await scanVectors({ space, eligible, limit, hits: nearest, pacer }, query.dense)
  if (query.sparse !== null) await scanWords({ space, eligible, hits: wordiest, pacer }, query.sparse)
  return { dense: hitsOf(nearest).map(withCosine), sparse: hitsOf(wordiest) }
}
