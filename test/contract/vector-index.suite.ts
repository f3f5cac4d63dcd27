/** What every vector index promises; each driver's test runs it on its own. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { IndexAnswer, IndexHit, IndexPoint, IndexQuery, VectorIndex } from '../../src/ports/vector-index.ts'
import {
  createNumbers,
  dimensions,
  everything,
  makePoint,
  makeQuery,
  makeRandomPoints,
  makeRandomQueries,
  memoryIdAt,
  sparseOf,
  vectorOf,
} from './vector-index.data.ts'

export type VectorIndexUnderTest = {
  readonly index: VectorIndex
  /** Another on the same data, as a second process has it. */
  connect(): VectorIndex
  /** Leaves nothing behind. */
  cleanUp(): Promise<void>
}

const idsOf = (hits: readonly IndexHit[]): readonly string[] => hits.map(({ memoryId }) => memoryId)
const ids = (...at: readonly number[]): readonly string[] => at.map(memoryIdAt)

const bitsOf = (hits: readonly IndexHit[]): string =>
  JSON.stringify(
    hits.map(({ memoryId, score }) => [memoryId, Buffer.from(Float64Array.of(score).buffer).toString('hex')]),
  )

const sumOf = (vector: Float32Array, term: (value: number, at: number) => number): number =>
  vector.reduce((sum, value, at) => sum + term(value, at), 0)

const plainScore = (query: IndexQuery, point: IndexPoint): { dense: number | null; sparse: number | null } => {
  const vector = point.dense
  const shared = query.sparse?.indices.flatMap((term, at) => {
    const where = point.sparse.indices.indexOf(term)
    return where < 0 ? [] : [(query.sparse?.values[at] ?? 0) * (point.sparse.values[where] ?? 0)]
  })
  return {
    dense:
      vector === null || query.dense === null ? null : sumOf(query.dense, (value, at) => value * (vector[at] ?? 0)),
    sparse: shared === undefined || shared.length === 0 ? null : shared.reduce((sum, product) => sum + product, 0),
  }
}

/** The answer by definition, in 64-bit floats. */
const plainAnswer = (query: IndexQuery, points: readonly IndexPoint[]): IndexAnswer => {
  const listOf = (kind: 'dense' | 'sparse'): readonly IndexHit[] =>
    points
      .filter(({ expiresAtMs }) => expiresAtMs === null || expiresAtMs > query.filter.nowMs)
      .filter(({ facets }) => query.filter.facets.every((facet) => facets.includes(facet)))
      .flatMap((point) => {
        const score = plainScore(query, point)[kind]
        return score === null ? [] : [{ memoryId: point.memoryId, score, source: point.source }]
      })
      .sort((one, other) => other.score - one.score || (one.memoryId < other.memoryId ? -1 : 1))
      .slice(0, query.limit)
  return { dense: listOf('dense'), sparse: listOf('sparse') }
}

export const expectSameHits = (hits: readonly IndexHit[], expected: readonly IndexHit[]): void => {
  expect(idsOf(hits)).toEqual(idsOf(expected))
  expect(hits.map(({ source }) => source)).toEqual(expected.map(({ source }) => source))
  for (const [at, { score }] of hits.entries()) expect(Math.abs(score - (expected[at]?.score ?? 0))).toBeLessThan(1e-5)
}

const listAll = async (index: VectorIndex, [tenantId, spaceId]: readonly [string, string], limit: number) => {
  const pages: { readonly memoryId: string; readonly revision: number }[][] = []
  for (let afterMemoryId: string | null = null; ; ) {
    const page = await index.list(tenantId, spaceId, { afterMemoryId, limit })
    pages.push([...page])
    if (page.length < limit) return pages
    afterMemoryId = page.at(-1)?.memoryId ?? null
  }
}

const byId = <T extends { readonly memoryId: string }>(listed: readonly T[]): readonly T[] =>
  listed.toSorted((one, other) => (one.memoryId < other.memoryId ? -1 : 1))

let spacesMade = 0
/** A tenant and a space that no other test uses. */
const newSpace = (): readonly [string, string] => {
  spacesMade += 1
  return [`ten_${spacesMade}`, `spc_${spacesMade}`]
}

/** Ids that no other test uses: one server holds them all. */
let idsMade = 1_000
const newIds = (count: number): readonly number[] => {
  idsMade += count
  return Array.from({ length: count }, (_, at) => idsMade - count + at)
}

export const describeVectorIndexContract = (name: string, make: () => Promise<VectorIndexUnderTest>): void => {
  describe(`${name} keeps the vector index contract`, () => {
    let underTest: VectorIndexUnderTest
    let index: VectorIndex

    beforeAll(async () => {
      underTest = await make()
      index = underTest.index
      await index.ensureReady()
    })
    afterAll(async () => {
      await index?.close()
      await underTest?.cleanUp()
    })

    it('getting ready may be asked by several processes at once, and again', async () => {
      const others = [underTest.connect(), underTest.connect(), underTest.connect()]
      await Promise.all([...others, ...others].map((other) => other.ensureReady()))
      await index.ensureReady()
      expect(await index.checkHealth()).toMatchObject({ ready: true })
      await Promise.all(others.map((other) => other.close()))
    })

    describe('search', () => {
      it('gives both lists by descending score, with where each memory stands', async () => {
        const space = newSpace()
        const [a = 0, b = 0, c = 0] = newIds(3)
        const source = { sourceId: 'текст/1', position: 7, asks: true } as const
        await index.upsert(...space, [
          makePoint(a, { dense: vectorOf(3, 4), sparse: sparseOf({ 1: 2, 4294967295: 1 }), source }),
          makePoint(b, { dense: vectorOf(1), sparse: sparseOf({ 2: 1 }) }),
          makePoint(c, { dense: vectorOf(-1), sparse: sparseOf({ 1: 0.5, 2: 3 }) }),
        ])
        const query = makeQuery({ dense: vectorOf(1), sparse: sparseOf({ 1: 2, 4294967295: 4 }) })
        const { dense, sparse } = await index.search(...space, query)
        expectSameHits(dense, [
          { memoryId: memoryIdAt(b), score: 1, source: null },
          { memoryId: memoryIdAt(a), score: 0.6, source },
          { memoryId: memoryIdAt(c), score: -1, source: null },
        ])
        expectSameHits(sparse, [
          { memoryId: memoryIdAt(a), score: 8, source },
          { memoryId: memoryIdAt(c), score: 1, source: null },
        ])
      })

      it('puts equal scores in the order of their ids', async () => {
        const space = newSpace()
        const made = newIds(20)
        await index.upsert(
          ...space,
          made.toReversed().map((at) => makePoint(at)),
        )
        const { dense, sparse } = await index.search(...space, makeQuery({ limit: 20 }))
        expect(idsOf(dense)).toEqual(ids(...made))
        expect(idsOf(sparse)).toEqual(ids(...made))
      })

      it('gives the hits and the scores that a plain computation gives', async () => {
        const space = newSpace()
        const points = makeRandomPoints(300, 2)
        await index.upsert(...space, points)
        for (const query of makeRandomQueries(25, 5)) {
          const answer = await index.search(...space, query)
          const expected = plainAnswer(query, points)
          expectSameHits(answer.dense, expected.dense)
          expectSameHits(answer.sparse, expected.sparse)
        }
      })

      it('gives no cosine above 1, whatever rounding adds', async () => {
        const space = newSpace()
        const points = makeRandomPoints(60, 7).filter(
          ({ dense, expiresAtMs }) => dense !== null && expiresAtMs === null,
        )
        await index.upsert(...space, points)
        for (const { dense: vector } of points) {
          const own = vector?.map((value) => value * 1.000_001) ?? null
          const { dense } = await index.search(...space, makeQuery({ dense: own, sparse: null, limit: 1 }))
          expect(dense[0]?.score).toBeCloseTo(1, 5)
          expect(dense[0]?.score).toBeLessThanOrEqual(1)
        }
      })

      it('gives an empty list where the query has no vector or no words', async () => {
        const space = newSpace()
        await index.upsert(
          ...space,
          newIds(2).map((at) => makePoint(at)),
        )
        expect(await index.search(...space, makeQuery({ dense: null }))).toMatchObject({ dense: [], sparse: [{}, {}] })
        expect(await index.search(...space, makeQuery({ sparse: null }))).toMatchObject({ dense: [{}, {}], sparse: [] })
        const nothing = { dense: null, sparse: sparseOf({}) }
        expect(await index.search(...space, makeQuery(nothing))).toEqual({ dense: [], sparse: [] })
      })

      it('finds a point without a vector by its words, and one without words by its vector', async () => {
        const space = newSpace()
        const [wordless = 0, vectorless = 0, bare = 0] = newIds(3)
        await index.upsert(...space, [
          makePoint(wordless, { sparse: sparseOf({}) }),
          makePoint(vectorless, { dense: null }),
          makePoint(bare, { dense: null, sparse: sparseOf({}) }),
        ])
        const { dense, sparse } = await index.search(...space, makeQuery())
        expect([idsOf(dense), idsOf(sparse)]).toEqual([ids(wordless), ids(vectorless)])
        expect(await index.list(...space, { afterMemoryId: null, limit: 10 })).toHaveLength(3)
      })

      it('gives all there is when the limit is larger, and the best when it is smaller', async () => {
        const space = newSpace()
        const made = newIds(30)
        const points = made.map((at, rank) =>
          makePoint(at, { dense: vectorOf(1, rank), sparse: sparseOf({ 1: 30 - rank }) }),
        )
        await index.upsert(...space, points)
        const all = await index.search(...space, makeQuery({ limit: 500 }))
        expect([idsOf(all.dense), idsOf(all.sparse)]).toEqual([ids(...made), ids(...made)])
        const best = await index.search(...space, makeQuery({ limit: 3 }))
        expect([idsOf(best.dense), idsOf(best.sparse)]).toEqual([ids(...made.slice(0, 3)), ids(...made.slice(0, 3))])
      })

      it('answers for a space that nobody wrote to', async () => {
        expect(await index.search(...newSpace(), makeQuery())).toEqual({ dense: [], sparse: [] })
      })

      it('refuses vectors of other dimensions and says to reindex', async () => {
        const wrong = new Float32Array(dimensions + 1)
        const refusal = { code: 'vector_index.misbehaved', retryable: false, detail: expect.stringMatching(/reindex/i) }
        const [at = 0] = newIds(1)
        await expect(index.upsert(...newSpace(), [makePoint(at, { dense: wrong })])).rejects.toMatchObject(refusal)
        await expect(index.search(...newSpace(), makeQuery({ dense: wrong }))).rejects.toMatchObject(refusal)
      })

      it('rejects with the reason when the caller has given up', async () => {
        const reason = new Error('the client is gone')
        const signal = AbortSignal.abort(reason)
        await expect(index.search(...newSpace(), makeQuery(), { signal })).rejects.toBe(reason)
      })
    })

    describe('filters', () => {
      it('M9: the filter comes before the limit: k matching points are found behind any number of better ones', async () => {
        const space = newSpace()
        const made = newIds(200)
        const wanted = made.slice(0, 5)
        await index.upsert(
          ...space,
          made.map((at, rank) =>
            rank < 5
              ? makePoint(at, { dense: vectorOf(-1, rank), sparse: sparseOf({ 1: 0.1 }), facets: ['kept', 'all'] })
              : makePoint(at, { facets: ['all'] }),
          ),
        )
        const filter = { ...everything, facets: ['kept'] }
        const { dense, sparse } = await index.search(...space, makeQuery({ filter, limit: 5 }))
        expect([...idsOf(dense)].sort()).toEqual(ids(...wanted))
        expect(idsOf(sparse)).toEqual(ids(...wanted))
      })

      it('a point needs every facet that is asked for, exactly, in any script', async () => {
        const space = newSpace()
        const [both = 0, one = 0, longer = 0] = newIds(3)
        await index.upsert(...space, [
          makePoint(both, { facets: ['город:Лиссабон', '表情:🎉'] }),
          makePoint(one, { facets: ['город:Лиссабон'] }),
          makePoint(longer, { facets: ['город:Лиссабон и', '表情:🎉🎉'] }),
        ])
        const find = async (...facets: readonly string[]) =>
          idsOf((await index.search(...space, makeQuery({ filter: { ...everything, facets } }))).dense)
        expect(await find('город:Лиссабон', '表情:🎉')).toEqual(ids(both))
        expect(await find('город:Лиссабон')).toEqual(ids(both, one))
        expect(await find('город')).toEqual([])
        expect(await find('город:Лиссабон', 'город:Лиссабон')).toEqual(ids(both, one))
      })

      it('a point that expires at or before now is invisible, and one without a date never expires', async () => {
        const space = newSpace()
        const [past = 0, now = 0, future = 0, never = 0] = newIds(4)
        const nowMs = 1_800_000_000_000
        await index.upsert(...space, [
          makePoint(past, { expiresAtMs: nowMs - 1 }),
          makePoint(now, { expiresAtMs: nowMs }),
          makePoint(future, { expiresAtMs: nowMs + 1 }),
          makePoint(never),
        ])
        const { dense, sparse } = await index.search(...space, makeQuery({ filter: { facets: [], nowMs } }))
        expect([idsOf(dense), idsOf(sparse)]).toEqual([ids(future, never), ids(future, never)])
      })
    })

    describe('writes', () => {
      it('M6: an older revision never replaces a newer one, each point by its own, in any order', async () => {
        const space = newSpace()
        const [a = 0, b = 0, c = 0] = newIds(3)
        const large = 2 ** 40
        await index.upsert(...space, [makePoint(a, { revision: 5 }), makePoint(b, { revision: large })])
        const late = { dense: vectorOf(-1), sparse: sparseOf({ 9: 1 }), facets: ['late'] }
        await index.upsert(...space, [
          makePoint(a, { ...late, revision: 4 }),
          makePoint(b, { ...late, revision: large + 1 }),
          makePoint(c, { ...late, revision: 1 }),
        ])
        const filter = { ...everything, facets: ['late'] }
        expect(idsOf((await index.search(...space, makeQuery({ filter }))).dense)).toEqual(ids(b, c))
        expect(byId(await index.list(...space, { afterMemoryId: null, limit: 10 }))).toEqual([
          { memoryId: memoryIdAt(a), revision: 5 },
          { memoryId: memoryIdAt(b), revision: large + 1 },
          { memoryId: memoryIdAt(c), revision: 1 },
        ])
      })

      it('a newer revision replaces all of the point', async () => {
        const space = newSpace()
        const [at = 0] = newIds(1)
        const old = { facets: ['old'], expiresAtMs: 10_000, source: { sourceId: 's', position: 0 } }
        await index.upsert(...space, [makePoint(at, { ...old, revision: 1 })])
        await index.upsert(...space, [makePoint(at, { revision: 2, dense: null, sparse: sparseOf({ 2: 1 }) })])
        const filter = { facets: [], nowMs: 20_000 }
        expect(await index.search(...space, makeQuery({ filter }))).toEqual({ dense: [], sparse: [] })
        const { sparse } = await index.search(...space, makeQuery({ filter, sparse: sparseOf({ 2: 1 }) }))
        expect(sparse).toEqual([{ memoryId: memoryIdAt(at), score: 1, source: null }])
        const oldFilter = { facets: ['old'], nowMs: 0 }
        const find = makeQuery({ filter: oldFilter, sparse: sparseOf({ 1: 1, 2: 1 }) })
        expect(await index.search(...space, find)).toEqual({ dense: [], sparse: [] })
      })

      it('a vector that comes later joins the words of its revision, and late words do not take it away', async () => {
        const space = newSpace()
        const [at = 0] = newIds(1)
        const words = makePoint(at, { revision: 3, dense: null })
        await index.upsert(...space, [words])
        await index.upsert(...space, [makePoint(at, { revision: 3 })])
        await index.upsert(...space, [words])
        const { dense, sparse } = await index.search(...space, makeQuery())
        expect([idsOf(dense), idsOf(sparse)]).toEqual([ids(at), ids(at)])
      })

      it('a removed point is found by nothing, and removing what is not there is fine', async () => {
        const space = newSpace()
        const [kept = 0, gone = 0, unknown = 0] = newIds(3)
        await index.upsert(...space, [makePoint(kept), makePoint(gone, { facets: ['f'] })])
        await index.remove(...space, ids(gone, unknown))
        await index.remove(...space, [])
        await index.upsert(...space, [])
        const { dense, sparse } = await index.search(...space, makeQuery())
        expect([idsOf(dense), idsOf(sparse)]).toEqual([ids(kept), ids(kept)])
        const filter = { ...everything, facets: ['f'] }
        expect(await index.search(...space, makeQuery({ filter }))).toEqual({ dense: [], sparse: [] })
        expect(await listAll(index, space, 10)).toEqual([[{ memoryId: memoryIdAt(kept), revision: 1 }]])
      })

      it('a removed space is empty, and says how many points it held', async () => {
        const [tenantId, spaceId] = newSpace()
        const made = newIds(40)
        await index.upsert(
          tenantId,
          spaceId,
          made.slice(0, 30).map((at) => makePoint(at)),
        )
        await index.upsert(
          tenantId,
          'spc_other',
          made.slice(30).map((at) => makePoint(at)),
        )
        expect(await index.removeSpace(tenantId, spaceId)).toBe(30)
        expect(await index.removeSpace(tenantId, spaceId)).toBe(0)
        expect(await index.search(tenantId, spaceId, makeQuery())).toEqual({ dense: [], sparse: [] })
        expect((await index.search(tenantId, 'spc_other', makeQuery())).dense).toHaveLength(10)
      })

      it('what one process writes, another finds', async () => {
        const space = newSpace()
        const other = underTest.connect()
        const [first = 0, second = 0] = newIds(2)
        await index.upsert(...space, [makePoint(first)])
        expect(idsOf((await other.search(...space, makeQuery())).dense)).toEqual(ids(first))
        await index.upsert(...space, [makePoint(second)])
        await index.remove(...space, ids(first))
        expect(idsOf((await other.search(...space, makeQuery())).dense)).toEqual(ids(second))
        await other.close()
      })
    })

    describe('tenants', () => {
      it('T1, T2: a search, a list and a removal reach one space of one tenant, whatever the names begin with', async () => {
        const [tenantId, spaceId] = newSpace()
        const places: readonly (readonly [string, string])[] = [
          [tenantId, spaceId],
          [tenantId, `${spaceId}0`],
          [`${tenantId}0`, spaceId],
        ]
        const made = newIds(3)
        for (const [at, place] of places.entries()) await index.upsert(...place, [makePoint(made[at] ?? 0)])
        for (const [at, place] of places.entries()) {
          const own = ids(made[at] ?? 0)
          const { dense, sparse } = await index.search(...place, makeQuery())
          expect([idsOf(dense), idsOf(sparse)]).toEqual([own, own])
          expect(await listAll(index, place, 10)).toEqual([[{ memoryId: own[0], revision: 1 }]])
        }
        await index.remove(tenantId, spaceId, ids(...made))
        expect(await index.removeSpace(tenantId, spaceId)).toBe(0)
        for (const place of places.slice(1)) expect((await index.search(...place, makeQuery())).dense).toHaveLength(1)
      })

      it('T1: one memory id in two tenants, or in two spaces, is two points: a write or removal reaches its own', async () => {
        const [tenantId, spaceId] = newSpace()
        const others = [newSpace(), [tenantId, `${spaceId}-other`] as const]
        const [at = 0] = newIds(1)
        await index.upsert(tenantId, spaceId, [makePoint(at, { facets: ['own'] })])
        for (const other of others) {
          await index.upsert(...other, [makePoint(at, { revision: 99, dense: vectorOf(-1), facets: ['own'] })])
          const { dense } = await index.search(...other, makeQuery())
          expectSameHits(dense, [{ memoryId: memoryIdAt(at), score: -1, source: null }])
          await index.remove(...other, ids(at))
          expect(await index.search(...other, makeQuery())).toEqual({ dense: [], sparse: [] })
        }
        const find = makeQuery({ filter: { ...everything, facets: ['own'] } })
        expectSameHits((await index.search(tenantId, spaceId, find)).dense, [
          { memoryId: memoryIdAt(at), score: 1, source: null },
        ])
      })

      it('T1: scores are the same to the bit before and after another tenant writes 1,000 memories', async () => {
        const [own, other] = [newSpace(), newSpace()]
        await index.upsert(...own, makeRandomPoints(50, 3))
        const queries = makeRandomQueries(5, 8)
        const searchAll = async () => {
          const answers = []
          for (const query of queries) answers.push(await index.search(...own, query))
          return answers.map(({ dense, sparse }) => bitsOf(dense) + bitsOf(sparse))
        }
        const before = await searchAll()
        await index.upsert(...other, makeRandomPoints(1_000, 4))
        expect(await searchAll()).toEqual(before)
      })
    })

    it('lists 1,000 points, each once, by pages of any size', async () => {
      const space = newSpace()
      const number = createNumbers(6)
      const points = makeRandomPoints(1_000, 7).map((point) => ({ ...point, revision: Math.ceil(number() * 1e6) }))
      await index.upsert(
        ...space,
        points.toSorted(() => number() - 0.5),
      )
      const expected = points.map(({ memoryId, revision }) => ({ memoryId, revision }))
      for (const limit of [250, 999, 2_000]) expect(byId((await listAll(index, space, limit)).flat())).toEqual(expected)
    })
  })
}
