import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { searchExactly } from '../../../src/drivers/vector-index/exact-search.ts'
import { createExactSpace } from '../../../src/drivers/vector-index/exact-space.ts'
import { emptyOverlay, overlaidSteps, termCountSteps } from '../../../src/modules/memory/overlay.ts'
import type { IndexAnswer } from '../../../src/ports/vector-index.ts'
import { atOnce } from '../../../src/shared/yielding.ts'
import {
  dimensions,
  everything,
  makePoint,
  makeQuery,
  makeRandomPoints,
  makeRandomQueries,
  memoryIdAt,
  sparseOf,
  vectorOf,
} from '../../contract/vector-index.data.ts'

const layOver = (...given: Parameters<typeof overlaidSteps>) => atOnce(overlaidSteps(...given))

const nothing: IndexAnswer = { dense: [], sparse: [] }
const outdated = (...at: readonly number[]) => new Set(at.map(memoryIdAt))

const spaceOf = (points: ReturnType<typeof makeRandomPoints>) => {
  const space = createExactSpace(dimensions)
  for (const point of points) space.upsert(point)
  return space
}

describe('what was written after the index', () => {
  it('M4: gives with the index the lists that an index which held it all would give', async () => {
    const points = makeRandomPoints(300, 11)
    const seeds = fc.record({ seed: fc.integer({ min: 1, max: 1_000 }), held: fc.nat({ max: 300 }) })
    await fc.assert(
      fc.asyncProperty(seeds, async ({ seed, held }) => {
        const [query] = makeRandomQueries(1, seed)
        if (query === undefined) return
        const whole = await searchExactly(spaceOf(points), query)
        const part = await searchExactly(spaceOf(points.slice(0, held)), query)
        const merged = layOver(part, { points: points.slice(held), outdatedIds: new Set(), embedded: [] }, query)
        for (const kind of ['dense', 'sparse'] as const) {
          expect(merged[kind].map(({ source }) => source)).toEqual(whole[kind].map(({ source }) => source))
          for (const [at, { score }] of merged[kind].entries())
            expect(score).toBeCloseTo(whole[kind][at]?.score ?? 0, 5)
        }
      }),
      { numRuns: 50 },
    )
  })

  it('gives no cosine above 1, whatever rounding adds', () => {
    const points = makeRandomPoints(60, 7).filter(({ dense, expiresAtMs }) => dense !== null && expiresAtMs === null)
    for (const { dense } of points) {
      const query = makeQuery({ dense, sparse: null, limit: 1 })
      const merged = layOver(nothing, { points, outdatedIds: new Set(), embedded: [] }, query)
      expect(merged.dense[0]?.score).toBeCloseTo(1, 5)
      expect(merged.dense[0]?.score).toBeLessThanOrEqual(1)
    }
  })

  it('leaves the index out of what it says of changed and removed memories', () => {
    const hits = [3, 2, 1].map((at) => ({ memoryId: memoryIdAt(at), score: at / 10, source: null }))
    const changed = makePoint(2, { dense: vectorOf(0, 1), sparse: sparseOf({ 5: 1 }) })
    const overlay = { points: [changed], outdatedIds: outdated(2, 3), embedded: [] }
    const merged = layOver({ dense: hits, sparse: hits }, overlay, makeQuery())
    expect(merged.dense.map(({ memoryId, score }) => [memoryId, score])).toEqual([
      [memoryIdAt(1), 0.1],
      [memoryIdAt(2), 0],
    ])
    expect(merged.sparse.map(({ memoryId }) => memoryId)).toEqual([memoryIdAt(1)])
  })

  it('is held to the filter and to expiry as the index is', () => {
    const filter = { facets: ['a'], nowMs: 1_000 }
    const points = [
      makePoint(1, { facets: ['a', 'b'] }),
      makePoint(2, { facets: ['b'] }),
      makePoint(3, { facets: ['a'], expiresAtMs: 1_000 }),
      makePoint(4, { facets: ['a'], expiresAtMs: 1_001 }),
    ]
    const merged = layOver(nothing, { points, outdatedIds: new Set(), embedded: [] }, makeQuery({ filter }))
    expect(merged.dense.map(({ memoryId }) => memoryId)).toEqual([1, 4].map(memoryIdAt))
  })

  it('counts by its words alone where it has no vector yet, or the query has none', () => {
    const points = [makePoint(1, { dense: null }), makePoint(2)]
    const overlay = { points, outdatedIds: new Set<string>(), embedded: [] }
    expect(layOver(nothing, overlay, makeQuery()).dense).toHaveLength(1)
    expect(layOver(nothing, overlay, makeQuery({ dense: null }))).toMatchObject({ dense: [], sparse: [{}, {}] })
    expect(layOver(nothing, overlay, makeQuery({ sparse: null })).sparse).toEqual([])
  })

  it('changes nothing where there is none', () => {
    const answer = { dense: [{ memoryId: memoryIdAt(1), score: 1, source: null }], sparse: [] }
    expect(layOver(answer, emptyOverlay, { dense: null, sparse: null, filter: everything, limit: 1 })).toBe(answer)
  })
})

it('a term is counted once for each new memory that has it', () => {
  const points = [makePoint(1, { sparse: sparseOf({ 4: 2, 5: 1 }) }), makePoint(2, { sparse: sparseOf({ 4: 1 }) })]
  const counts = atOnce(termCountSteps({ points }, [4, 6]))
  expect([...counts]).toEqual([[4, 2]])
})
