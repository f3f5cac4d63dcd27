import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createCoarseKernel } from '../../../src/drivers/vector-index/coarse-kernel.ts'
import { coarseBlockRows, createCoarseVectors } from '../../../src/drivers/vector-index/coarse-vectors.ts'
import { searchExactly } from '../../../src/drivers/vector-index/exact-search.ts'
import { createExactSpace } from '../../../src/drivers/vector-index/exact-space.ts'
import { createNumbers, makePoint, makeQuery } from '../../contract/vector-index.data.ts'

const scoreOf = (one: Float32Array, other: Float32Array): number =>
  Math.fround(one.reduce((sum, value, at) => sum + value * (other[at] ?? 0), 0))

const unit = (vector: Float32Array): Float32Array => {
  const length = Math.hypot(...vector)
  return vector.map((value) => value / length)
}

/** Vectors around one direction, `spread` away from it, as the embeddings of like texts are; some are twins. */
const makeCluster = ({ count, width, spread }: { count: number; width: number; spread: number }) => {
  const next = createNumbers(7)
  const random = () => Float32Array.from({ length: width }, () => next() - 0.5)
  const centre = unit(random())
  const vectors = Array.from({ length: count }, () => {
    const away = unit(random())
    return unit(centre.map((value, at) => value + spread * (away[at] ?? 0)))
  })
  return vectors.map((vector, at) => (at % 10 === 9 ? (vectors[at - 1] ?? vector) : vector))
}

describe('the kernel', () => {
  it('gives the sums of products that whole numbers have, for the largest codes and for any others', () => {
    const width = 64
    const kernel = createCoarseKernel(width, 8)
    const next = createNumbers(3)
    for (const magnitude of [1, 0.3]) {
      const codeAt = () => (magnitude === 1 ? -127 : Math.round((next() - 0.5) * 254))
      const rows = Int8Array.from({ length: 8 * width }, codeAt)
      const query = Int16Array.from({ length: width }, () => Math.round((magnitude === 1 ? 1 : next()) * 32_767))
      kernel.query.set(query)
      const expected = Array.from({ length: 8 }, (_, row) =>
        query.reduce((sum, value, at) => sum + value * (rows[row * width + at] ?? 0), 0),
      )
      expect([...kernel.dots(rows, 8)]).toEqual(expected)
    }
  })
})

describe('coarse vectors', () => {
  const value = fc.oneof(fc.float({ min: -1, max: 1, noNaN: true }), fc.constantFrom(0, 1, -1, 1e-30, 1e15))
  const vector = fc.array(value, { minLength: 40, maxLength: 40 }).map((values) => Float32Array.from(values))

  it('enclose every score between its floor and its ceiling, whatever the vectors are', () => {
    fc.assert(
      fc.property(fc.array(vector, { minLength: 1, maxLength: 20 }), vector, (vectors, query) => {
        const coarse = createCoarseVectors(40)
        vectors.forEach((one, row) => {
          coarse.set(row, one)
        })
        const { floors, ceilings } = coarse.prepare(query)(0)
        vectors.forEach((one, row) => {
          const score = scoreOf(one, query)
          expect((floors[row] ?? 0) > score).toBe(false)
          expect((ceilings[row] ?? 0) < score).toBe(false)
        })
      }),
    )
  })

  it('tell apart unit vectors whose scores differ by a fiftieth', () => {
    const vectors = makeCluster({ count: coarseBlockRows, width: 512, spread: 1 })
    const coarse = createCoarseVectors(512)
    vectors.forEach((one, row) => {
      coarse.set(row, one)
    })
    const { floors, ceilings } = coarse.prepare(vectors[0] ?? new Float32Array(512))(0)
    for (const row of vectors.keys()) expect((ceilings[row] ?? 0) - (floors[row] ?? 0)).toBeLessThan(0.02)
  })
})

describe('a search in two passes', () => {
  it.each([1, 0.1, 0.001])('finds what a scan of the floats finds, for like vectors %s apart', async (spread) => {
    const width = 100
    const vectors = makeCluster({ count: 1_500, width, spread })
    const space = createExactSpace(width)
    const points = vectors.map((dense, at) => makePoint(at, { dense, facets: at % 3 === 0 ? ['third'] : [] }))
    for (const point of points) space.upsert(point)
    for (const facets of [[], ['third']]) {
      const dense = vectors[500] ?? new Float32Array(width)
      const query = makeQuery({ dense, sparse: null, limit: 25, filter: { facets, nowMs: 0 } })
      const expected = points
        .filter((point) => facets.every((facet) => point.facets.includes(facet)))
        .map((point) => ({ memoryId: point.memoryId, score: scoreOf(point.dense ?? dense, dense) }))
        .sort((one, other) => other.score - one.score || (one.memoryId < other.memoryId ? -1 : 1))
        .slice(0, 25)
      const { dense: hits } = await searchExactly(space, query)
      expect(hits.map(({ memoryId }) => memoryId)).toEqual(expected.map(({ memoryId }) => memoryId))
      for (const [at, { score }] of hits.entries()) expect(score).toBeCloseTo(expected[at]?.score ?? 0, 6)
    }
  })
})
