import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import {
  createExactIndex,
  type ReadSpaceChanges,
  type SpaceChanges,
} from '../../../src/drivers/vector-index/exact-index.ts'
import { createExactSpace } from '../../../src/drivers/vector-index/exact-space.ts'
import { createTopHits } from '../../../src/drivers/vector-index/top-hits.ts'
import type { IndexPoint, VectorIndex } from '../../../src/ports/vector-index.ts'
import {
  dimensions,
  makePoint,
  makeQuery,
  makeRandomPoints,
  memoryIdAt,
  sparseOf,
} from '../../contract/vector-index.data.ts'
import { createSpaceRecorder } from '../../contract/vector-index.recorder.ts'

const opened: VectorIndex[] = []
afterEach(async () => {
  for (const index of opened.splice(0)) await index.close()
})

type Limits = { readonly maxBytes?: number; readonly idleMs?: number }

/** An index over a recorder, with every read of it noted. */
const open = ({ maxBytes = 1e9, idleMs = 1e9 }: Limits = {}) => {
  const recorder = createSpaceRecorder()
  const reads: { readonly spaceId: string; readonly after: string | null }[] = []
  const clock = { ms: 0 }
  let read: ReadSpaceChanges = recorder.readSpaceChanges
  const index = createExactIndex({
    ...{
      dimensions,
      maxBytes,
      idleMs,
      readTimeoutMs: 5_000,
      clock: { nowMs: () => clock.ms, monotonicMs: () => clock.ms },
    },
    readSpaceChanges: (request) => {
      reads.push({ spaceId: request.spaceId, after: request.after })
      return read(request)
    },
  })
  opened.push(index)
  const add = (spaceId: string, ...points: readonly IndexPoint[]) =>
    recorder.add(
      'ten',
      spaceId,
      points.map((point) => ({ point })),
    )
  const find = async (spaceId: string) =>
    (await index.search('ten', spaceId, makeQuery({ limit: 1_000 }))).dense.map(({ memoryId }) => memoryId)
  const readWith = (other: ReadSpaceChanges) => {
    read = other
  }
  return { index, recorder, reads, clock, add, find, readWith }
}

const noChanges: SpaceChanges = { points: [], removedMemoryIds: [], cursor: '0', more: false, startOver: false }

describe('what a search sees', () => {
  it('is all that was published before it was asked, read from where the last one ended', async () => {
    const { reads, add, find } = open()
    add('spc', makePoint(1))
    expect(await find('spc')).toHaveLength(1)
    add('spc', makePoint(2), makePoint(3))
    expect(await find('spc')).toHaveLength(3)
    expect(reads.map(({ after }) => after)).toEqual([null, '1'])
  })

  it('is read page by page, and once for all searches that come while another reads', async () => {
    const { reads, add, find } = open()
    add('spc', ...makeRandomPoints(1_200, 1).map((point) => makePoint(Number(`0x${point.memoryId.slice(-8)}`))))
    const found = await Promise.all(Array.from({ length: 20 }, () => find('spc')))
    expect(found.map((ids) => ids.length)).toEqual(Array.from({ length: 20 }, () => 1_000))
    expect(reads.map(({ after }) => after)).toEqual([null, '500', '1000', '1200'])
  })

  it('a search that comes while another reads is served by the next read', async () => {
    const { reads, add, find, readWith, recorder } = open()
    add('spc', makePoint(1))
    let goOn = () => {}
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    readWith(async (request) => {
      const changes = await recorder.readSpaceChanges(request)
      await held
      return changes
    })
    const first = find('spc')
    add('spc', makePoint(2))
    const second = find('spc')
    goOn()
    expect([(await first).length, (await second).length]).toEqual([1, 2])
    expect(reads).toHaveLength(2)
  })

  it('starts over when the reader has forgotten removals', async () => {
    const { add, find, readWith, recorder } = open()
    add('spc', makePoint(1), makePoint(2))
    expect(await find('spc')).toHaveLength(2)
    readWith(async ({ after }) =>
      after === null
        ? { ...noChanges, points: [makePoint(2)], cursor: '9' }
        : { ...noChanges, points: [makePoint(7)], startOver: true },
    )
    expect(await find('spc')).toEqual([memoryIdAt(2)])
    readWith(recorder.readSpaceChanges)
  })

  it('is refused for now when the reader says to start over each time', async () => {
    const { find, readWith } = open()
    readWith(async () => ({ ...noChanges, startOver: true }))
    await expect(find('spc')).rejects.toMatchObject({ code: 'vector_index.unavailable', retryable: true })
  })

  it('is nothing once the space is gone, and its removal still counts what was held', async () => {
    const { index, recorder, add, find } = open()
    add('spc', makePoint(1), makePoint(2))
    await find('spc')
    recorder.forget('ten', 'spc')
    expect(await index.removeSpace('ten', 'spc')).toBe(2)
    expect(await find('spc')).toEqual([])
  })

  it('an error of the reader is passed on as it is, and the next search reads on', async () => {
    const { add, find, readWith, recorder } = open()
    add('spc', makePoint(1))
    const failure = new Error('the database is away')
    readWith(() => Promise.reject(failure))
    await expect(find('spc')).rejects.toBe(failure)
    readWith(recorder.readSpaceChanges)
    expect(await find('spc')).toHaveLength(1)
  })

  it('a search whose caller gives up ends at once, and the others go on', async () => {
    const { index, add, find, readWith, recorder } = open()
    add('spc', makePoint(1))
    let goOn = () => {}
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    readWith((request) => held.then(() => recorder.readSpaceChanges(request)))
    const caller = new AbortController()
    const given = index.search('ten', 'spc', makeQuery(), { signal: caller.signal })
    const patient = find('spc')
    caller.abort(new Error('gone'))
    await expect(given).rejects.toThrow('gone')
    goOn()
    expect(await patient).toHaveLength(1)
  })
})

describe('what is held', () => {
  const bytesOf = (points: readonly IndexPoint[]): number => {
    const space = createExactSpace(dimensions)
    for (const point of points) space.upsert(point)
    return space.bytes()
  }

  it('stays below the limit by dropping the spaces that were not used for longest, and reads them again', async () => {
    const points = makeRandomPoints(300, 2)
    const { reads, add, find } = open({ maxBytes: 2.5 * bytesOf(points) })
    for (const spaceId of ['a', 'b', 'c']) add(spaceId, ...points)
    for (const spaceId of ['a', 'b', 'a', 'c', 'a', 'b']) await find(spaceId)
    const loads = reads.filter(({ after }) => after === null).map(({ spaceId }) => spaceId)
    expect(loads).toEqual(['a', 'b', 'c', 'b'])
  })

  it('is one space at least, however large', async () => {
    const { reads, add, find } = open({ maxBytes: 1 })
    add('spc', ...makeRandomPoints(100, 3))
    await find('spc')
    await find('spc')
    expect(reads.map(({ after }) => after)).toEqual([null, '100'])
  })

  it('is dropped when it was idle for long', async () => {
    const { reads, clock, add, find } = open({ idleMs: 1_000 })
    add('old', makePoint(1))
    add('new', makePoint(2))
    await find('old')
    clock.ms = 1_500
    await find('new')
    await find('old')
    expect(reads.map(({ spaceId, after }) => [spaceId, after])).toEqual([
      ['old', null],
      ['new', null],
      ['old', null],
    ])
  })

  it('does not grow when memories are replaced or removed and others come', () => {
    const space = createExactSpace(dimensions)
    const points = makeRandomPoints(2_000, 4)
    for (const point of points) space.upsert(point)
    const full = space.bytes()
    for (let round = 1; round <= 5; round += 1) {
      for (const point of points) space.upsert({ ...point, revision: point.revision + round })
      for (const { memoryId } of points.slice(0, 1_000)) space.remove(memoryId)
      for (const point of points.slice(0, 1_000)) space.upsert({ ...point, memoryId: `${point.memoryId}-${round}` })
      for (const { memoryId } of points.slice(0, 1_000)) space.remove(`${memoryId}-${round}`)
      for (const point of points.slice(0, 1_000)) space.upsert(point)
    }
    expect(space.size()).toBe(2_000)
    expect(space.bytes()).toBe(full)
  })
})

it('a search through many memories lets others have their turn', async () => {
  const wide = 512
  const points = makeRandomPoints(20_000, 5).map((point) => ({ ...point, dense: new Float32Array(wide).fill(0.04) }))
  const page: SpaceChanges = { ...noChanges, points }
  let sent = false
  const index = createExactIndex({
    ...{
      dimensions: wide,
      maxBytes: 1e9,
      idleMs: 1e9,
      readTimeoutMs: 5_000,
      clock: { nowMs: () => 0, monotonicMs: () => 0 },
    },
    readSpaceChanges: async () => {
      const changes = sent ? noChanges : page
      sent = true
      return changes
    },
  })
  opened.push(index)
  await index.list('ten', 'spc', { afterMemoryId: null, limit: 1 })
  let turns = 0
  let searching = true
  const take = () => {
    turns += 1
    if (searching) setImmediate(take)
  }
  setImmediate(take)
  const query = makeQuery({ dense: new Float32Array(wide).fill(0.04), sparse: null, limit: 3 })
  const searches = Array.from({ length: 5 }, () => index.search('ten', 'spc', query))
  const answers = await Promise.all(searches)
  searching = false
  expect(answers.map(({ dense }) => dense.length)).toEqual([3, 3, 3, 3, 3])
  expect(turns).toBeGreaterThan(2)
})

describe('the structures in it', () => {
  const change = fc.record({
    at: fc.nat({ max: 15 }),
    removes: fc.boolean(),
    revision: fc.nat({ max: 6 }),
    terms: fc.uniqueArray(fc.nat({ max: 8 }), { maxLength: 5 }),
    facets: fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 4 }),
    hasVector: fc.boolean(),
  })

  it('M6, M9: after any changes every term, facet and id leads to the memories that have it, and to no other', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const space = createExactSpace(dimensions)
        const model = new Map<string, IndexPoint>()
        for (const { at, removes, revision, terms, facets, hasVector } of changes) {
          const sparse = { indices: terms, values: terms.map((term) => term + 0.5) }
          const point = makePoint(at, { revision, sparse, facets, ...(hasVector ? {} : { dense: null }) })
          const known = model.get(point.memoryId)
          if (removes) {
            space.remove(point.memoryId)
            model.delete(point.memoryId)
            continue
          }
          space.upsert(point)
          const isOutdated =
            known !== undefined &&
            (known.revision > revision || (known.revision === revision && known.dense !== null && !hasVector))
          if (!isOutdated) model.set(point.memoryId, point)
        }
        const holdersOf = (term: number | string) => {
          const holders: [string, number][] = []
          const visit = (row: number, value: number) => holders.push([space.memoryIdOf(row), value])
          for (let at = space.postings.first(term); at >= 0; ) at = space.postings.walk(at, 2, visit)
          return holders.sort()
        }
        const held = [...model.values()]
        for (let term = 0; term <= 8; term += 1)
          expect(holdersOf(term)).toEqual(
            held
              .filter(({ sparse }) => sparse.indices.includes(term))
              .map(({ memoryId }) => [memoryId, term + 0.5])
              .sort(),
          )
        for (const facet of ['a', 'b', 'c'])
          expect(holdersOf(facet).map(([memoryId]) => memoryId)).toEqual(
            held.flatMap(({ facets, memoryId }) => (facets.includes(facet) ? [memoryId] : [])).sort(),
          )
        expect(space.sortedIds()).toEqual([...model.keys()].sort())
        for (const { memoryId, revision } of held) expect(space.revisionOf(memoryId)).toBe(revision)
      }),
      { numRuns: 200 },
    )
  })

  it('the best hits are the first of all hits in order, whatever order they come in', () => {
    const scores = fc.array(fc.integer({ min: -3, max: 3 }), { maxLength: 60 })
    fc.assert(
      fc.property(scores, fc.integer({ min: 1, max: 20 }), (all, limit) => {
        const hits = createTopHits(limit, memoryIdAt)
        const rows = all.map((score, row) => ({ row, score }))
        for (const { row, score } of rows) hits.offer(row, score)
        const expected = rows.toSorted((one, other) => other.score - one.score || one.row - other.row)
        expect(hits.take()).toEqual(expected.slice(0, limit))
      }),
    )
  })

  it('a space of words alone has no matrix', () => {
    const space = createExactSpace(1_000_000)
    for (let at = 0; at < 300; at += 1)
      space.upsert(makePoint(at, { dense: null, sparse: sparseOf({ 1: 1, [at]: 2 }) }))
    expect(space.bytes()).toBeLessThan(1_000_000)
  })
})
