/** What a Qdrant in trouble costs the whole service: recall for a while, and never a write, a wrong text or a leak. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { pointIdOf } from '../../src/drivers/vector-index/qdrant-points.ts'
import type { Caller } from '../../src/shared/caller.ts'
import { createTestApp, type TestApp } from '../support/app.ts'
import { addTo, contentsOf, searchIn, settleIndex } from '../support/memory-driver.ts'
import type { ModuleOverrides, TestModules } from '../support/modules.ts'
import { type QdrantStandIn, startQdrantStandIn } from '../support/qdrant-stand-in.ts'

let qdrant: QdrantStandIn
let app: TestApp
let modules: TestModules
let caller: Caller

const open = async (overrides: ModuleOverrides = {}) => {
  app = await createTestApp({ qdrantUrl: qdrant.url, ...overrides })
  modules = app.modules
  caller = await modules.makeCaller()
}
const add = (...contents: readonly string[]) => addTo(modules, caller, { agentId: 'a', contents })
const search = (query: string, more: object = {}) => searchIn(modules, caller, { agentId: 'a', query, ...more })
const served = () => qdrant.collections.get(qdrant.aliases.get('agemem') ?? '')?.points ?? new Map()
const readConsistency = async () =>
  (await app.request(app.operatorKey, { method: 'GET', url: '/v1/admin/consistency' })).data
const reindex = () => app.request(app.operatorKey, { method: 'POST', url: '/v1/admin/reindex' })
const clean = {
  ...{ consistent: true, agents_behind: 0, missing_in_index: 0, outdated_in_index: 0, orphaned_in_index: 0 },
}
/** Agents that could not be served rest a while, so the rounds go on. */
const caughtUp = () =>
  expect
    .poll(
      async () => {
        await settleIndex(modules, 1).catch(() => undefined)
        const { data } = await app.request(app.operatorKey, { method: 'GET', url: '/v1/admin/consistency' })
        return data
      },
      { timeout: 20_000 },
    )
    .toMatchObject(clean)

beforeEach(async () => {
  qdrant = await startQdrantStandIn()
})
afterEach(async () => {
  await app.close()
  await qdrant.stop()
})

describe('Qdrant away', () => {
  it('M5: at the start: the service works by its fallback, and the index is made and filled when Qdrant comes', async () => {
    const { port } = qdrant
    await qdrant.stop()
    await open()
    await add('The lighthouse is white')
    const answer = await search('lighthouse')
    expect([contentsOf(answer), answer.degraded]).toEqual([['The lighthouse is white'], ['vector_index']])
    qdrant = await startQdrantStandIn({ port })
    await caughtUp()
    const later = await search('lighthouse')
    expect([contentsOf(later), later.degraded, served().size]).toEqual([['The lighthouse is white'], [], 1])
  })

  it('M4, M5: during writes and searches: all is stored and found at once, and the index catches up afterwards', async () => {
    await open()
    const [first = ''] = await add('The lighthouse is white', 'The harbour is old')
    await modules.indexer.drain()
    qdrant.faults.failTimes = Number.POSITIVE_INFINITY
    qdrant.faults.failStatus = 503
    await add('The lantern was lit', 'The anchor holds')
    const target = { agentId: 'a', memoryId: first, expected: '*' as const }
    await modules.memories.update(caller, { ...target, change: { content: 'The lighthouse is red' } })
    await modules.indexer.drain()
    for (const [query, content] of [
      ['lantern', 'The lantern was lit'],
      ['lighthouse', 'The lighthouse is red'],
      ['harbour', 'The harbour is old'],
    ]) {
      const answer = await search(query ?? '')
      expect([contentsOf(answer)[0], answer.degraded]).toEqual([content, ['vector_index']])
    }
    expect(await readConsistency()).toMatchObject({ agents_behind: 1, agents_checked: 0 })
    qdrant.faults.failTimes = 0
    modules.clock.advance(2_000)
    await caughtUp()
    expect(served().size).toBe(4)
    expect((await search('lighthouse')).degraded).toEqual([])
  })

  it('a slow one costs a search its deadline, not more, and the answer says what stood in', async () => {
    await open({ settings: { indexTimeoutMs: 150 } })
    await add('The lighthouse is white')
    await modules.indexer.drain()
    qdrant.faults.latencyMs = 10_000
    // An answer that waited for Qdrant would name nothing that stood in.
    const answer = await search('lighthouse')
    expect([contentsOf(answer), answer.degraded]).toEqual([['The lighthouse is white'], ['vector_index']])
  })

  it('M7: an erasure stays pending while Qdrant is away, and is finished afterwards', async () => {
    await open()
    await add('The lighthouse is white')
    await modules.indexer.drain()
    qdrant.faults.failTimes = Number.POSITIVE_INFINITY
    expect((await modules.agents.erase(caller, 'a')).status).toBe('pending')
    expect(contentsOf(await search('lighthouse'))).toEqual([])
    qdrant.faults.failTimes = 0
    modules.clock.advance(2_000)
    await modules.maintenance.runOnce()
    expect(served().size).toBe(0)
  })
})

describe('Qdrant that loses things', () => {
  it('M5: points that vanish are reported, and a reindex brings them back', async () => {
    await open()
    await add(...Array.from({ length: 20 }, (_, at) => `Fact number${at}`))
    await modules.indexer.drain()
    expect(await readConsistency()).toMatchObject(clean)
    for (const id of [...served().keys()].slice(0, 8)) served().delete(id)
    expect(await readConsistency()).toMatchObject({ consistent: false, missing_in_index: 8 })
    expect((await search('number3')).results.length).toBeLessThanOrEqual(12)
    expect((await reindex()).statusCode).toBe(202)
    await settleIndex(modules)
    expect(await readConsistency()).toMatchObject({ ...clean, memories_checked: 20 })
    expect(contentsOf(await search('number3'))[0]).toBe('Fact number3')
  })

  it('M5: writes that it confirms and does not make are reported, and a reindex makes them', async () => {
    await open()
    qdrant.faults.losesWrites = true
    await add('The lighthouse is white')
    await modules.indexer.drain()
    qdrant.faults.losesWrites = false
    expect(await readConsistency()).toMatchObject({ consistent: false, missing_in_index: 1 })
    await reindex()
    await settleIndex(modules)
    expect(await readConsistency()).toMatchObject(clean)
  })

  it('a collection that was deleted by hand is made and filled anew, without being asked', async () => {
    await open()
    await add('The lighthouse is white', 'The harbour is old')
    await modules.indexer.drain()
    await fetch(`${qdrant.url}/collections/${qdrant.aliases.get('agemem')}`, { method: 'DELETE' })
    const answer = await search('lighthouse')
    expect([contentsOf(answer)[0], answer.degraded]).toEqual(['The lighthouse is white', ['vector_index']])
    await caughtUp()
    expect(served().size).toBe(2)
    expect((await search('lighthouse')).degraded).toEqual([])
  })
})

describe('what the consistency report shows', () => {
  const repair = () => app.request(app.operatorKey, { method: 'POST', url: '/v1/admin/consistency/repair' })

  it('M5: is mended by an operator, in both directions, and the report is clean afterwards', async () => {
    await open()
    await add(...Array.from({ length: 6 }, (_, at) => `Fact number${at}`))
    await modules.indexer.drain()
    const [[id, point] = ['', null]] = [...served()]
    served().delete(id)
    const orphanId = pointIdOf([caller.tenantId, String(point?.payload.space_id)], 'mem_orphan')
    served().set(orphanId, { ...point, id: orphanId, payload: { ...point?.payload, memory_id: 'mem_orphan' } })
    expect((await repair()).data).toMatchObject({
      ...{ consistent: false, missing_in_index: 1, orphaned_in_index: 1 },
      ...{ agents_restarted: 1, orphans_removed: 1, next_cursor: null },
    })
    await modules.indexer.drain()
    expect(await readConsistency()).toMatchObject({ ...clean, complete: true, memories_checked: 6 })
  })

  it('M5: what the index does not say is neither missing nor mended', async () => {
    await open()
    await add('The lighthouse is white')
    await modules.indexer.drain()
    qdrant.faults.distort = (_, path) => (path.endsWith('/scroll') ? { result: 'x' } : undefined)
    expect((await repair()).data).toMatchObject({
      ...{ complete: false, agents_checked: 0, agents_unreadable: 1, missing_in_index: 0, agents_restarted: 0 },
    })
  })

  it('A5: searches go on by the fallback, and say so, while the index answers what cannot be read', async () => {
    await open()
    await add('The lighthouse is white')
    await modules.indexer.drain()
    for (const answer of [{ result: 'x' }, { result: [{ points: [{ score: 1, payload: {} }] }, { points: [] }] }]) {
      qdrant.faults.distort = (_, path) => (path.endsWith('/query/batch') ? answer : undefined)
      const found = await search('lighthouse')
      expect([contentsOf(found), found.degraded]).toEqual([['The lighthouse is white'], ['vector_index']])
    }
  })
})

describe('Qdrant that holds what it should not', () => {
  it('M6: an older version that arrives late changes nothing', async () => {
    await open()
    const [memoryId = ''] = await add('Lives in Porto')
    await modules.indexer.drain()
    const old = structuredClone([...served().values()])
    const change = { content: 'Lives in Lisbon' }
    await modules.memories.update(caller, { agentId: 'a', memoryId, expected: '*', change })
    await modules.indexer.drain()
    const revision = [...served().values()][0]?.payload.revision
    const { payload } = old[0] ?? { payload: {} }
    await modules.vectorIndex.upsert(caller.tenantId, String(payload.space_id), [
      {
        ...{ memoryId, revision: Number(payload.revision), facets: [], source: null, expiresAtMs: null, dense: null },
        sparse: { indices: [1], values: [1] },
      },
    ])
    expect([...served().values()][0]?.payload.revision).toBe(revision)
    expect(contentsOf(await search('lisbon', { mode: 'keyword' }))).toEqual(['Lives in Lisbon'])
    expect(await readConsistency()).toMatchObject(clean)
  })

  it('M3: a point that outlives its memory, with its vector and its words, is never an answer', async () => {
    await open()
    const [memoryId = '', kept = ''] = await add('The secret word is heliotrope', 'The secret is old')
    await modules.indexer.drain()
    const points = new Map(served())
    await modules.memories.delete(caller, { agentId: 'a', memoryId, expected: '*' })
    await modules.indexer.drain()
    for (const [id, point] of points) served().set(id, point)
    expect((await search('secret word heliotrope')).results.map(({ memory }) => memory.memoryId)).toEqual([kept])
    expect(await readConsistency()).toMatchObject({ consistent: false, orphaned_in_index: 1 })
    await reindex()
    await settleIndex(modules)
    expect(await readConsistency()).toMatchObject(clean)
  })

  it('T1, T2: with the filter of the index removed, no text of another tenant or agent comes out', async () => {
    await open()
    const other = await modules.makeCaller()
    await addTo(modules, other, { agentId: 'a', contents: ['The secret of the other tenant is heliotrope'] })
    await addTo(modules, caller, { agentId: 'b', contents: ['The secret of the other agent is heliotrope'] })
    await add('My own secret is heliotrope')
    await modules.indexer.drain()
    qdrant.faults.losesFilters = true
    for (const mode of ['hybrid', 'semantic', 'keyword'])
      expect([mode, contentsOf(await search('secret heliotrope', { mode }))]).toEqual([
        mode,
        ['My own secret is heliotrope'],
      ])
    expect(contentsOf(await searchIn(modules, await modules.makeCaller(), { agentId: 'a', query: 'secret' }))).toEqual(
      [],
    )
  })

  it('T1: a write under an id that another tenant has reaches no point of theirs', async () => {
    await open()
    const [memoryId = ''] = await add('Only mine')
    await modules.indexer.drain()
    const before = structuredClone([...served()])
    const forged = { facets: [], source: null, expiresAtMs: null, dense: null, sparse: { indices: [1], values: [9] } }
    const spaceId = String([...served().values()][0]?.payload.space_id)
    await modules.vectorIndex.upsert('ten_forger', spaceId, [{ ...forged, memoryId, revision: 99 }])
    await modules.vectorIndex.remove('ten_forger', spaceId, [memoryId])
    expect([...served()]).toEqual(before)
  })
})
