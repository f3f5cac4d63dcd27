/**
 * Turns what the vector index answers into one ranking.
 *
 * Hybrid adds, it never counts ranks: reciprocal rank fusion fell below words alone with every embedder measured. A
 * memory's own evidence is
 *   own = (keyword / best keyword + 0.5 x semantic, min-max scaled over the hits) / 1.5,
 * and a memory that is a piece of an ordered source is also judged by its surroundings, because an answer often stands
 * beside the words of the question rather than among them:
 *   score = (own + around + 0.7 x best own of its source) / 2.4,
 *   around = 0.3 x beyond x (own of the adjacent pieces and of another at the same position, and half of the next ones)
 *            + 0.4 x own of the piece before, if that asks something; 0.7 at most,
 *   beyond = the share of the source that lies outside these five pieces: in a short source all pieces are near each
 *            other, so nearness tells none of them from the rest.
 * A piece that asks is worth 0.85 of that where its source goes on: the answer is wanted, not another who asked.
 * Surroundings and the length of a source (its last position) are read from the hits alone: a neighbour that is no hit
 * counts nothing, so no further query is needed. The weights lie on a plateau: halving or doubling one moves dialogue
 * recall@10 by about a point (docs/decisions/0003-hybrid-ranking-adds-scores.md).
 *
 * Invariants: without sources the score is `own`, which is plain hybrid; a memory without a source is never changed by
 * what other memories' sources are; every score is finite, hybrid scores lie in 0..1; the order depends on the set of
 * hits, not on their sequence, and equal scores are ordered by id. Cost: linear in the hits, plus one sort.
 */

import type { IndexAnswer, IndexHit, SourcePosition } from '../../ports/vector-index.ts'

/** `semantic`: cosine alone, as in the AgeMem paper. `keyword`: words alone. */
export type RankingMode = 'hybrid' | 'semantic' | 'keyword'

export type RankedMemory = {
  readonly memoryId: string
  /** hybrid: 0..1, comparable within one answer only. semantic: the cosine. keyword: the BM25 sum, without upper bound. */
  readonly score: number
  /** What the index gave: the cosine and the BM25 sum; absent when the memory was not among the hits of that kind. */
  readonly scores: { readonly semantic?: number; readonly keyword?: number }
}

/**
 * Hits of each kind that hybrid should be given. On 370 to 2,000 dialogue turns 100 lost 2 to 3 points of recall@10,
 * and 400 moved it by half a point either way.
 */
export const hybridHitsPerKind = 300

const semanticWeight = 0.5
const sourceWeight = 0.7
const aroundWeight = 0.3
const askedWeight = 0.4
/** What surroundings can add; as much as the source, so that a memory without one competes on the same terms as ever. */
const aroundMax = 0.7
const askingFactor = 0.85
const neighbourWeights: readonly (readonly [offset: number, weight: number])[] = [
  [-2, 0.5],
  [-1, 1],
  [1, 1],
  [2, 0.5],
]
const windowPieces = neighbourWeights.length + 1

/** All hits of the mode, best first. */
export function rankMemories(mode: RankingMode, answer: IndexAnswer): RankedMemory[] {
  const candidates = collectCandidates({
    dense: mode === 'keyword' ? [] : answer.dense,
    sparse: mode === 'semantic' ? [] : answer.sparse,
  })
  const scores = mode === 'hybrid' ? hybridScores(candidates) : candidates.map(({ scores }) => scores[mode] ?? 0)
  return candidates
    .map(({ memoryId, scores: kinds }, index) => ({ memoryId, score: scores[index] ?? 0, scores: kinds }))
    .sort((left, right) => right.score - left.score || (left.memoryId < right.memoryId ? -1 : 1))
}

type Candidate = {
  readonly memoryId: string
  readonly source: SourcePosition | null
  readonly scores: { semantic?: number; keyword?: number }
}

function collectCandidates(answer: IndexAnswer): Candidate[] {
  const byId = new Map<string, Candidate>()
  const collect = (kind: 'semantic' | 'keyword', hits: readonly IndexHit[]) => {
    for (const { memoryId, score, source } of hits) {
      if (!Number.isFinite(score)) continue
      const candidate = byId.get(memoryId) ?? { memoryId, source, scores: {} }
      candidate.scores[kind] = Math.max(score, candidate.scores[kind] ?? score)
      byId.set(memoryId, candidate)
    }
  }
  collect('semantic', answer.dense)
  collect('keyword', answer.sparse)
  return [...byId.values()]
}

function hybridScores(candidates: readonly Candidate[]): number[] {
  const own = ownScores(candidates)
  const sources = groupBySource(candidates, own)
  return candidates.map(({ source }, index) => {
    const ownScore = own[index] ?? 0
    const evidence = source === null ? undefined : sources.get(source.sourceId)
    return source === null || evidence === undefined ? ownScore : scoreInSource(source, ownScore, evidence)
  })
}

function scoreInSource(source: SourcePosition, ownScore: number, evidence: SourceEvidence): number {
  const total =
    ownScore + aroundOf({ position: source.position, own: ownScore }, evidence) + sourceWeight * evidence.best
  const isAnswerable = source.asks === true && source.position + 1 < evidence.length
  // Rounding alone could lift a sum of perfect parts above 1.
  return Math.min(1, (total * (isAnswerable ? askingFactor : 1)) / (1 + aroundMax + sourceWeight))
}

/** Plain hybrid. A memory that is no hit of a kind has nothing of that kind, which is what the last hit has too. */
function ownScores(candidates: readonly Candidate[]): number[] {
  const keywordBest = largest(candidates.map(({ scores }) => scores.keyword ?? 0))
  const cosines = candidates.flatMap(({ scores }) => scores.semantic ?? [])
  const semanticBest = cosines.reduce((best, cosine) => Math.max(best, cosine), -Infinity)
  const semanticWorst = cosines.reduce((worst, cosine) => Math.min(worst, cosine), Infinity)
  const span = semanticBest - semanticWorst
  return candidates.map(({ scores: { semantic, keyword } }) => {
    const words = ratio(Math.max(0, keyword ?? 0), keywordBest)
    const scaled = semantic === undefined ? 0 : span > 0 ? (semantic - semanticWorst) / span : 1
    return (words + semanticWeight * scaled) / (1 + semanticWeight)
  })
}

type Piece = { readonly own: number; readonly asks: boolean }
/** What stands at one position: the strongest piece, and the own score of the next strongest. */
type Place = { readonly best: Piece; readonly next: number }
/** `length`: what is known of it, one more than the last position among the hits. */
type SourceEvidence = { best: number; length: number; readonly places: Map<number, Place> }

/** Several memories may stand at one position: a piece stored twice, or facts that were saved together. */
function groupBySource(candidates: readonly Candidate[], own: readonly number[]): Map<string, SourceEvidence> {
  const sources = new Map<string, SourceEvidence>()
  candidates.forEach(({ source }, index) => {
    if (source === null) return
    const evidence = sources.get(source.sourceId) ?? { best: 0, length: 0, places: new Map<number, Place>() }
    const piece = { own: own[index] ?? 0, asks: source.asks === true }
    evidence.best = Math.max(evidence.best, piece.own)
    evidence.length = Math.max(evidence.length, source.position + 1)
    evidence.places.set(source.position, withPiece(evidence.places.get(source.position), piece))
    sources.set(source.sourceId, evidence)
  })
  return sources
}

/** Of two equally strong ones that which asks is best, so that the sequence of the hits decides nothing. */
function withPiece(place: Place | undefined, piece: Piece): Place {
  if (place === undefined) return { best: piece, next: 0 }
  const { best, next } = place
  const isBetter = piece.own > best.own || (piece.own === best.own && piece.asks)
  return isBetter ? { best: piece, next: best.own } : { best, next: Math.max(next, piece.own) }
}

/** The strongest other piece at the position of one with this score. */
const besideOf = ({ best, next }: Place, own: number): number => (own >= best.own ? next : best.own)

function aroundOf({ position, own }: { position: number; own: number }, { length, places }: SourceEvidence): number {
  const place = places.get(position)
  const near = neighbourWeights.reduce(
    (sum, [offset, weight]) => sum + weight * (places.get(position + offset)?.best.own ?? 0),
    place === undefined ? 0 : besideOf(place, own),
  )
  const before = places.get(position - 1)?.best
  const asked = before?.asks === true ? askedWeight * before.own : 0
  const beyond = Math.max(0, 1 - windowPieces / length)
  return Math.min(aroundMax, aroundWeight * beyond * near + asked)
}

const largest = (values: readonly number[]): number => values.reduce((best, value) => Math.max(best, value), 0)

/** 0 where there is nothing to divide by; a quotient of sums too small to divide by is held to a finite number. */
const ratio = (part: number, whole: number): number => (whole > 0 ? Math.min(part / whole, Number.MAX_VALUE) : 0)
