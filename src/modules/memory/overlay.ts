/**
 * What was written after the index last took part, laid over the index's answer: its lists without what is outdated,
 * with the hits among the memories that it does not hold yet. These are the lists that the index would give if it held
 * them, so a search sees every acknowledged write (M4).
 */
import type { IndexAnswer, IndexFilter, IndexHit, IndexPoint, SparseVector } from '../../ports/vector-index.ts'
import { cosineOf } from '../../shared/cosine.ts'
import { mapSteps, type Steps } from '../../shared/yielding.ts'

export type Overlay = {
  /** Memories that the index does not hold, or holds as they no longer are. */
  readonly points: readonly IndexPoint[]
  /** Ids whose hits in the index count no more: changed or removed since. */
  readonly outdatedIds: ReadonlySet<string>
  /** Memories with a vector that was made for this search, since nothing holds one of theirs. */
  readonly embedded: readonly IndexPoint[]
}

export type OverlaidQuery = {
  readonly dense: Float32Array | null
  readonly sparse: SparseVector | null
  readonly filter: IndexFilter
  readonly limit: number
}

export const emptyOverlay: Overlay = { points: [], outdatedIds: new Set(), embedded: [] }

const sparseDot = (weights: ReadonlyMap<number, number>, { indices, values }: SparseVector): number =>
  indices.reduce((sum, index, at) => sum + (weights.get(index) ?? 0) * (values[at] ?? 0), 0)

const passes = (point: IndexPoint, filter: IndexFilter): boolean =>
  (point.expiresAtMs === null || point.expiresAtMs > filter.nowMs) &&
  filter.facets.every((facet) => point.facets.includes(facet))

const byScore = (one: IndexHit, other: IndexHit): number =>
  other.score - one.score || (one.memoryId < other.memoryId ? -1 : 1)

/** In how many memories of the overlay each of the terms stands; a term that is not there: in none. */
export function* termCountSteps(
  { points }: Pick<Overlay, 'points'>,
  termIds: readonly number[],
): Steps<ReadonlyMap<number, number>> {
  const wanted = new Set(termIds)
  const counts = new Map<number, number>()
  for (const { sparse } of points) {
    for (const termId of sparse.indices) if (wanted.has(termId)) counts.set(termId, (counts.get(termId) ?? 0) + 1)
    yield
  }
  return counts
}

/** A step for each memory that is laid over. */
export function* overlaidSteps(answer: IndexAnswer, overlay: Overlay, query: OverlaidQuery): Steps<IndexAnswer> {
  if (overlay.points.length === 0 && overlay.outdatedIds.size === 0 && overlay.embedded.length === 0) return answer
  const { dense, sparse, filter, limit } = query
  const points = overlay.points.filter((point) => passes(point, filter))
  const embedded = overlay.embedded.filter((point) => passes(point, filter))
  const hitOf = ({ memoryId, source }: IndexPoint, score: number): IndexHit => ({ memoryId, score, source })
  const merge = (hits: readonly IndexHit[], fresh: readonly IndexHit[]): readonly IndexHit[] =>
    [...hits.filter((hit) => !overlay.outdatedIds.has(hit.memoryId)), ...fresh].sort(byScore).slice(0, limit)
  const weights = new Map(sparse?.indices.map((index, at) => [index, sparse.values[at] ?? 0]))
  yield
  const nearest = yield* mapSteps([...points, ...embedded], (point) =>
    point.dense && dense ? [hitOf(point, cosineOf(point.dense, dense))] : [],
  )
  const wordiest = yield* mapSteps(points, (point) => hitOf(point, sparseDot(weights, point.sparse)))
  return {
    dense: merge(answer.dense, nearest.flat()),
    sparse: merge(
      answer.sparse,
      wordiest.filter(({ score }) => score > 0),
    ),
  }
}
