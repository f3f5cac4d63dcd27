/** What becomes of an agent whose round of the indexer was cut short: another takes it up at once, not when a lease ends. */
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createIndexer } from '../../src/modules/indexing/indexer.ts'
import type { VectorIndex } from '../../src/ports/vector-index.ts'
import type { Caller } from '../../src/shared/caller.ts'
import { AppError } from '../../src/shared/errors.ts'
import { addTo } from '../support/memory-driver.ts'
import { createTestModules, type TestModules } from '../support/modules.ts'

let modules: TestModules
let caller: Caller

beforeEach(async () => {
  modules = await createTestModules()
  caller = await modules.makeCaller()
  await addTo(modules, caller, { agentId: 'a', contents: ['The lighthouse is white'] })
})
afterEach(() => modules.close())

const lag = async () => (await modules.agents.get(caller, 'a')).indexLag

describe('a round of the indexer that is cut short', () => {
  it('M5: by a database that goes away: the agent is served again soon after it answers, with no lease to wait for', async () => {
    let isAway = true
    let refusals = 0
    const { database, vectorIndex, embedder } = modules
    const transact: typeof database.transact = async (...request) => {
      if (!isAway) return database.transact(...request)
      refusals += 1
      throw new AppError({ code: 'database.unavailable', status: 503, detail: 'away' })
    }
    const logger = pino({ level: 'silent' })
    const broken = {
      database: { ...database, transact },
      vectorIndex,
      embedder,
      logger,
      pollMs: 50,
      restMs: 0,
      postponeMs: 2_000,
    }
    const indexer = createIndexer(broken)
    indexer.start()
    await expect.poll(() => refusals).toBeGreaterThan(3)
    expect(await lag()).toBeGreaterThan(0)
    isAway = false
    await expect.poll(lag).toBe(0)
    await indexer.stop()
  })

  it('M5: by a stop: the next process serves the agent at once', async () => {
    const { database, embedder } = modules
    let reached = () => {}
    const isReached = new Promise<void>((resolve) => {
      reached = resolve
    })
    const upsert: VectorIndex['upsert'] = (_tenantId, _spaceId, _points, options) =>
      new Promise((_resolve, reject) => {
        reached()
        options?.signal?.addEventListener('abort', () => reject(new Error('stopped')))
      })
    const vectorIndex = { ...modules.vectorIndex, upsert }
    const indexer = createIndexer({
      database,
      vectorIndex,
      embedder,
      logger: pino({ level: 'silent' }),
      pollMs: 50,
      restMs: 0,
      postponeMs: 2_000,
    })
    indexer.start()
    await isReached
    await indexer.stop()
    await modules.indexer.drain()
    expect(await lag()).toBe(0)
  })
})
