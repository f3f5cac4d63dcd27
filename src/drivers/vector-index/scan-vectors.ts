/**
 * The rows nearest to a vector. The coarse pass encloses every eligible row's score between a floor and a ceiling and
 * keeps the rows whose ceiling reaches the k-th best floor so far; those that still do at the end are scored in floats.
 * So the hits and their scores are those of a scan of the floats, whatever the vectors are; vectors that the coarse
 * codes cannot tell apart only cost more of the second pass.
 */
import { type ExactSpace, rowState } from './exact-space.ts'
import type { Pacer } from './pacer.ts'
import { createTopHits, type TopHits } from './top-hits.ts'

/** Between looks at the time: some 100 microseconds of work. */
const candidatesPerLook = 256

export type VectorScan = {
  readonly space: ExactSpace
  /** 1 for each row that may be a hit. */
  readonly eligible: Uint8Array
  readonly limit: number
  readonly hits: TopHits
  readonly pacer: Pacer
}

type Candidate = { readonly row: number; readonly ceiling: number }

const dotProduct = (matrix: Float32Array, start: number, vector: Float32Array): number => {
  const whole = vector.length & ~3
  let [a, b, c, d] = [0, 0, 0, 0]
  for (let i = 0; i < whole; i += 4) {
    const at = start + i
    a += (matrix[at] ?? 0) * (vector[i] ?? 0)
    b += (matrix[at + 1] ?? 0) * (vector[i + 1] ?? 0)
    c += (matrix[at + 2] ?? 0) * (vector[i + 2] ?? 0)
    d += (matrix[at + 3] ?? 0) * (vector[i + 3] ?? 0)
  }
  for (let i = whole; i < vector.length; i += 1) a += (matrix[start + i] ?? 0) * (vector[i] ?? 0)
  return Math.fround(a + b + c + d)
}

const findCandidates = async (scan: VectorScan, vector: Float32Array): Promise<readonly Candidate[]> => {
  const { space, eligible, limit, pacer } = scan
  const { shift, mask } = space.matrix
  const boundsOf = space.coarse.prepare(vector)
  const floors = createTopHits(limit, space.memoryIdOf)
  const candidates: Candidate[] = []
  for (let first = eligible.indexOf(1); first >= 0; ) {
    const bounds = boundsOf(first >>> shift)
    const end = Math.min((first | mask) + 1, eligible.length)
    for (let row = first; row < end; row += 1) {
      if (eligible[row] === 0 || space.stateOf(row) !== rowState.wordsAndVector) continue
      const floor = bounds.floors[row & mask] ?? Number.NaN
      const ceiling = bounds.ceilings[row & mask] ?? Number.NaN
      // A ceiling that is no number rules nothing out.
      if (ceiling < floors.bar()) continue
      candidates.push({ row, ceiling })
      if (Number.isFinite(floor)) floors.offer(row, floor)
    }
    await pacer.pause()
    first = eligible.indexOf(1, end)
  }
  const bar = floors.bar()
  return candidates.filter(({ ceiling }) => !(ceiling < bar))
}

export const scanVectors = async (scan: VectorScan, vector: Float32Array): Promise<void> => {
  const { space, hits, pacer } = scan
  const { floats, shift, mask, width } = space.matrix
  for (const [at, { row }] of (await findCandidates(scan, vector)).entries()) {
    hits.offer(row, dotProduct(floats[row >>> shift] ?? vector, (row & mask) * width, vector))
    if (at % candidatesPerLook === 0) await pacer.pause()
  }
}
