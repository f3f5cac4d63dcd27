/**
 * One space held in memory: a row for each memory, its vector in a matrix and coarsely beside it, its terms and facets
 * as postings. Rows are used again after a removal, a vector is overwritten where it is, so the size follows what is
 * held.
 *
 * Invariants: `rowOf` holds exactly the rows whose state is not `empty`; a row never goes back to an older revision (M6).
 */
import type { IndexPoint, SourcePosition } from '../../ports/vector-index.ts'
import { type CoarseVectors, createCoarseVectors, vectorBlockShift } from './coarse-vectors.ts'
import { createPostings, type Postings } from './postings.ts'
import { createRecordBlocks, type RecordBlocks } from './record-blocks.ts'
import { ensureDimensions } from './vector-index-errors.ts'

export const rowState = { empty: 0, words: 1, wordsAndVector: 2 } as const

/** What a row costs beside its vector and postings: id, map, source, columns; measured. */
const bytesPerRow = 260
/** What a space costs before it holds anything. */
const bytesAtLeast = 4_096
const noPosting = -1
const facetValue = 1

export type ExactSpace = {
  readonly matrix: RecordBlocks
  readonly coarse: CoarseVectors
  readonly postings: Postings
  size(): number
  /** Rows below this one may be in use. */
  rowCount(): number
  stateOf(row: number): number
  memoryIdOf(row: number): string
  sourceOf(row: number): SourcePosition | null
  /** Infinity: never. */
  expiryMsOf(row: number): number
  revisionOf(memoryId: string): number
  /** Ids in ascending order. */
  sortedIds(): readonly string[]
  /**
   * Ignored when a newer revision is held, or the same one with a vector that this point lacks.
   * @throws AppError `vector_index.misbehaved` on a vector of other dimensions
   */
  upsert(point: IndexPoint): void
  remove(memoryId: string): void
  /** About what the space takes, within a fifth. */
  bytes(): number
}

const grown = (column: Float64Array): Float64Array => {
  const larger = new Float64Array(Math.max(8, column.length * 2))
  larger.set(column)
  return larger
}

export const createExactSpace = (dimensions: number): ExactSpace => {
  const matrix = createRecordBlocks(dimensions, vectorBlockShift)
  const coarse = createCoarseVectors(dimensions)
  const postings = createPostings()
  const rowOf = new Map<string, number>()
  const freeRows: number[] = []
  const memoryIds: string[] = []
  const sources: (SourcePosition | null)[] = []
  const states: number[] = []
  const rowHeads: number[] = []
  let revisions: Float64Array = new Float64Array(0)
  let expiries: Float64Array = new Float64Array(0)
  let sorted: readonly string[] | null = null

  const takeRow = (memoryId: string): number => {
    const row = freeRows.pop() ?? memoryIds.length
    rowOf.set(memoryId, row)
    memoryIds[row] = memoryId
    if (row >= revisions.length) {
      revisions = grown(revisions)
      expiries = grown(expiries)
    }
    sorted = null
    return row
  }

  const setVector = (row: number, dense: Float32Array): void => {
    matrix.ensure(row)
    matrix.floats[row >>> matrix.shift]?.set(dense, (row & matrix.mask) * dimensions)
    coarse.set(row, dense)
  }

  const linkTerms = (row: number, { sparse, facets }: IndexPoint): void => {
    let rowHead = noPosting
    sparse.indices.forEach((term, at) => {
      rowHead = postings.link({ row, rowHead, term, value: sparse.values[at] ?? 0 })
    })
    for (const term of new Set(facets)) rowHead = postings.link({ row, rowHead, term, value: facetValue })
    rowHeads[row] = rowHead
  }

  const isOutdated = (row: number, { revision, dense }: IndexPoint): boolean => {
    const held = revisions[row] ?? 0
    return held > revision || (held === revision && dense === null && states[row] === rowState.wordsAndVector)
  }

  return {
    matrix,
    coarse,
    postings,
    size: () => rowOf.size,
    rowCount: () => memoryIds.length,
    stateOf: (row) => states[row] ?? rowState.empty,
    memoryIdOf: (row) => memoryIds[row] ?? '',
    sourceOf: (row) => sources[row] ?? null,
    expiryMsOf: (row) => expiries[row] ?? Number.POSITIVE_INFINITY,
    revisionOf: (memoryId) => revisions[rowOf.get(memoryId) ?? -1] ?? 0,
    sortedIds: () => {
      sorted ??= [...rowOf.keys()].sort()
      return sorted
    },
    upsert: (point) => {
      ensureDimensions(point.dense, dimensions)
      const known = rowOf.get(point.memoryId)
      if (known !== undefined && isOutdated(known, point)) return
      if (known !== undefined) postings.unlink(rowHeads[known] ?? noPosting)
      const row = known ?? takeRow(point.memoryId)
      revisions[row] = point.revision
      expiries[row] = point.expiresAtMs ?? Number.POSITIVE_INFINITY
      sources[row] = point.source
      states[row] = point.dense === null ? rowState.words : rowState.wordsAndVector
      if (point.dense !== null) setVector(row, point.dense)
      linkTerms(row, point)
    },
    remove: (memoryId) => {
      const row = rowOf.get(memoryId)
      if (row === undefined) return
      postings.unlink(rowHeads[row] ?? noPosting)
      rowOf.delete(memoryId)
      memoryIds[row] = ''
      sources[row] = null
      states[row] = rowState.empty
      freeRows.push(row)
      sorted = null
    },
    bytes: () => bytesAtLeast + matrix.bytes() + coarse.bytes() + postings.bytes() + memoryIds.length * bytesPerRow,
  }
}
