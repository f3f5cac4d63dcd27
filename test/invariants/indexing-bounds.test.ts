/** What one tenant's texts cost the indexing of the others, and what becomes of texts that cannot be indexed. */
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createIndexer } from '../../src/modules/indexing/indexer.ts'
import type { VectorIndex } from '../../src/ports/vector-index.ts'
import type { Caller } from '../../src/shared/caller.ts'
import { AppError } from '../../src/shared/errors.ts'
import { sql } from '../../src/shared/sql.ts'
import { addTo, contentsOf, searchIn } from '../support/memory-driver.ts'
import { createTestModules, type TestModules } from '../support/modules.ts'

let modules: TestModules
let caller: Caller
const opened: TestModules[] = []

const open = async (overrides: Parameters<typeof createTestModules>[0] = {}) => {
  modules = await createTestModules({ ...overrides, settings: { embedTimeoutMs: 250, ...overrides.settings } })
  opened.push(modules)
  caller = await modules.makeCaller()
}
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close()
})

const lagOf = async (whose: Caller, agentId = 'a') => (await modules.agents.get(whose, agentId)).indexLag
const stateOf = async (memoryId: string) => (await modules.memories.get(caller, { agentId: 'a', memoryId })).indexState
/** As if the time of every retry had come. */
const hasten = () =>
  modules.database.transact(caller.tenantId, (tx) =>
    tx.query(sql`update index_entry set retry_at = clock_timestamp() where retry_at is not null`),
  )

describe('texts that hang the embedder', () => {
  beforeEach(() => open())

  it('A5: hold up neither another tenant nor the other texts of their own agent, and are tried again', async () => {
    modules.embedder.hangsOn = 'quagmire'
    const hanging = Array.from({ length: 5 }, (_, at) => `quagmire ${at}`)
    const ids = await addTo(modules, caller, { agentId: 'a', contents: ['The lighthouse is white', ...hanging] })
    const other = await modules.makeCaller()
    modules.indexer.start()
    await expect.poll(() => modules.embedder.hanging(), { timeout: 10_000 }).toBeGreaterThan(0)
    await addTo(modules, other, { agentId: 'a', contents: ['The harbour is old'] })
    await expect.poll(() => lagOf(other), { timeout: 5_000, interval: 50 }).toBe(0)
    expect(await lagOf(caller)).toBeGreaterThan(0)
    await expect.poll(() => lagOf(caller), { timeout: 25_000, interval: 50 }).toBe(0)
    expect(await stateOf(ids[0] ?? '')).toBe('indexed')
    expect(await stateOf(ids[1] ?? '')).toBe('pending')
    const answer = await searchIn(modules, caller, { agentId: 'a', query: 'quagmire', mode: 'keyword' })
    expect(contentsOf(answer)).toHaveLength(5)
    await modules.indexer.stop()
  })

  it('are marked as failed after some tries, and get their vector when the embedder has recovered', async () => {
    modules.embedder.hangsOn = 'quagmire'
    const [memoryId = ''] = await addTo(modules, caller, { agentId: 'a', contents: ['A quagmire of a text'] })
    await modules.indexer.drain()
    expect([await lagOf(caller), await stateOf(memoryId)]).toEqual([0, 'pending'])
    for (let attempt = 2; attempt <= 3; attempt += 1) {
      await hasten()
      await modules.indexer.drain()
    }
    expect(await stateOf(memoryId)).toBe('failed')
    modules.embedder.hangsOn = null
    await hasten()
    await modules.indexer.drain()
    expect(await stateOf(memoryId)).toBe('indexed')
  })

  it('are tried anew at once when the memory is changed', async () => {
    modules.embedder.hangsOn = 'quagmire'
    const [memoryId = ''] = await addTo(modules, caller, { agentId: 'a', contents: ['A quagmire of a text'] })
    await modules.indexer.drain()
    modules.embedder.hangsOn = null
    const change = { metadata: { mended: true } }
    await modules.memories.update(caller, { agentId: 'a', memoryId, expected: '*', change })
    await modules.indexer.drain()
    expect([await lagOf(caller), await stateOf(memoryId)]).toEqual([0, 'indexed'])
  })

  it('A5: an embedder that is away marks no text: all wait for it', async () => {
    modules.embedder.behaviour = 'hangs'
    const [memoryId = ''] = await addTo(modules, caller, { agentId: 'a', contents: ['The lighthouse is white'] })
    await modules.indexer.drain()
    expect(await lagOf(caller)).toBeGreaterThan(0)
    const marks = await modules.database.transact(caller.tenantId, (tx) =>
      tx.query(sql`select 1 from index_entry where error is not null`),
    )
    expect([marks.length, await stateOf(memoryId)]).toEqual([0, 'pending'])
  })
})

describe('more than a round takes', () => {
  const big = (at: number) => Array.from({ length: 3_000 }, (_, word) => `w${at}x${word}`).join(' ')

  it('A6, M5: a batch of big memories with words of their own is indexed in parts of one revision', async () => {
    const sizes: number[] = []
    await open({
      wrapIndex: (index) => ({
        ...index,
        upsert: (tenantId, spaceId, points, options) => {
          sizes.push(points.length)
          return index.upsert(tenantId, spaceId, points, options)
        },
      }),
    })
    const contents = Array.from({ length: 24 }, (_, at) => big(at))
    await addTo(modules, caller, { agentId: 'a', contents })
    await modules.indexer.drain()
    expect(await lagOf(caller)).toBe(0)
    expect(Math.max(...sizes)).toBeLessThan(24)
    expect(await modules.reconciler.check()).toMatchObject({ consistent: true, complete: true, memoriesChecked: 24 })
    const answer = await searchIn(modules, caller, { agentId: 'a', query: 'w23x7', mode: 'keyword' })
    expect(contentsOf(answer)).toEqual([contents[23]])
  })

  const refusesWhere = (isBad: (ids: readonly string[]) => boolean) => (index: VectorIndex) => ({
    ...index,
    upsert: async (...request: Parameters<VectorIndex['upsert']>) => {
      if (isBad(request[2].map(({ memoryId }) => memoryId)))
        throw new AppError({ code: 'vector_index.unavailable', status: 503, retryable: true, detail: 'too much' })
      return index.upsert(...request)
    },
  })

  it('A6: what fails together is done in parts, and the parts stay small for a while', async () => {
    await open({ wrapIndex: refusesWhere((ids) => ids.length > 40) })
    await addTo(modules, caller, { agentId: 'a', contents: Array.from({ length: 100 }, (_, at) => `Fact number${at}`) })
    modules.indexer.start()
    await expect.poll(() => lagOf(caller), { timeout: 25_000, interval: 50 }).toBe(0)
    await modules.indexer.stop()
    expect((await modules.reconciler.check()).consistent).toBe(true)
  })

  it('a memory that the index cannot take is marked, passed, and taken when it can', async () => {
    let bad: string | null = null
    await open({ wrapIndex: refusesWhere((ids) => bad !== null && ids.includes(bad)) })
    const contents = ['Fact one', 'Fact two', 'Fact three']
    const ids = await addTo(modules, caller, { agentId: 'a', contents })
    bad = ids[1] ?? null
    modules.indexer.start()
    await expect.poll(() => lagOf(caller), { timeout: 25_000, interval: 50 }).toBe(0)
    await modules.indexer.stop()
    expect(await Promise.all(ids.map(stateOf))).toEqual(['indexed', 'pending', 'indexed'])
    bad = null
    await hasten()
    await modules.indexer.drain()
    expect(await Promise.all(ids.map(stateOf))).toEqual(['indexed', 'indexed', 'indexed'])
    expect(await modules.reconciler.check()).toMatchObject({ consistent: true, memoriesChecked: 3 })
  })
})

describe('turns of tenants', () => {
  it('A2: a tenant with many agents behind has one turn like everybody', async () => {
    const served: string[] = []
    await open({
      wrapIndex: (index) => ({
        ...index,
        upsert: (tenantId, ...request) => {
          served.push(tenantId)
          return index.upsert(tenantId, ...request)
        },
      }),
    })
    for (let at = 0; at < 20; at += 1) await addTo(modules, caller, { agentId: `a${at}`, contents: ['Fact'] })
    const others = [await modules.makeCaller(), await modules.makeCaller()]
    for (const other of others) await addTo(modules, other, { agentId: 'a', contents: ['Fact'] })
    const { database, vectorIndex, embedder } = modules
    const logger = pino({ level: 'silent' })
    await createIndexer({ database, vectorIndex, embedder, logger, pollMs: 50, restMs: 0, postponeMs: 100 }).drain()
    const firstOf = ({ tenantId }: Caller) => served.indexOf(tenantId)
    expect(Math.max(...others.map(firstOf))).toBeLessThan(4)
    expect(served.filter((tenantId) => tenantId === caller.tenantId).length).toBeGreaterThanOrEqual(20)
  })
})
