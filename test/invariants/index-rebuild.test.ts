/** An index is built beside the one that serves and swapped in, under writes, crashes and two versions side by side. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Caller } from '../../src/shared/caller.ts'
import { createFakeEmbedder } from '../support/fake-embedder.ts'
import { addTo, contentsOf, searchIn, settleIndex } from '../support/memory-driver.ts'
import { createTestModules, type ModuleOverrides, type TestModules } from '../support/modules.ts'
import { type QdrantStandIn, startQdrantStandIn } from '../support/qdrant-stand-in.ts'

let qdrant: QdrantStandIn
let modules: TestModules
let caller: Caller
const opened: TestModules[] = []

const open = async (overrides: ModuleOverrides = {}): Promise<TestModules> => {
  const made = await createTestModules({ qdrantUrl: qdrant.url, ...overrides })
  opened.push(made)
  return made
}
const openBeside = (overrides: ModuleOverrides = {}) => open({ databaseUrl: modules.url, ...overrides })
const serving = () => qdrant.aliases.get('agemem') ?? 'none'
const servedPoints = () => qdrant.collections.get(serving())?.points.size
const consistent = { consistent: true, agentsBehind: 0, missingInIndex: 0, orphanedInIndex: 0, outdatedInIndex: 0 }
const contents = Array.from({ length: 40 }, (_, at) => `Fact number${at} of the harbour`)

/** An agent rests a while after a failure, so the rounds go on until it has come again. */
const moved = (of: TestModules, before: string) =>
  expect
    .poll(
      async () => {
        await settleIndex(of, 1)
        return serving()
      },
      { timeout: 20_000 },
    )
    .not.toBe(before)

beforeEach(async () => {
  qdrant = await startQdrantStandIn()
  modules = await open()
  caller = await modules.makeCaller()
  await addTo(modules, caller, { agentId: 'a', contents })
  await modules.indexer.drain()
})
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close()
  await qdrant.stop()
})

describe('a rebuild on request', () => {
  it('makes a new collection that takes over with all that PostgreSQL has, embeds nothing again, removes the old one', async () => {
    const [before, calls] = [serving(), modules.embedder.calls]
    expect(await modules.indexKeeper.rebuild()).toBe(1)
    expect(serving()).toBe(before)
    await settleIndex(modules)
    expect(serving()).not.toBe(before)
    expect([...qdrant.collections.keys()]).toEqual([serving()])
    expect(servedPoints()).toBe(contents.length)
    expect(modules.embedder.calls).toBe(calls)
    expect(await modules.reconciler.check()).toMatchObject(consistent)
    const answer = await searchIn(modules, caller, { agentId: 'a', query: 'number7', mode: 'semantic' })
    expect([answer.results[0]?.memory.content, answer.degraded]).toEqual([contents[7], []])
  })

  it('M4, M5: misses no write, update or delete that comes while it runs, and searches see each at once', async () => {
    await modules.indexKeeper.rebuild()
    const rebuilding = modules.vectorIndex.rebuilding
    if (rebuilding === undefined) throw new Error('Qdrant can be rebuilt')
    const [updated, deleted] = await addTo(modules, caller, { agentId: 'a', contents: ['Old lantern', 'Old anchor'] })
    await modules.indexer.drain()
    // What happens between the last page that is copied and the swap.
    const serve = rebuilding.serve
    let isInterrupted = false
    Object.assign(rebuilding, {
      serve: async (name: string) => {
        if (!isInterrupted) {
          isInterrupted = true
          await addTo(modules, caller, { agentId: 'a', contents: ['Late lighthouse'] })
          const target = { agentId: 'a', memoryId: updated ?? '', expected: '*' as const }
          await modules.memories.update(caller, { ...target, change: { content: 'Changed lantern' } })
          await modules.memories.delete(caller, { ...target, memoryId: deleted ?? '' })
          await modules.indexer.drain()
        }
        await serve(name)
      },
    })
    await modules.indexKeeper.runOnce()
    expect(isInterrupted).toBe(true)
    for (const phase of ['just swapped', 'settled']) {
      const found = async (query: string) => contentsOf(await searchIn(modules, caller, { agentId: 'a', query }))
      expect([phase, (await found('lighthouse'))[0]]).toEqual([phase, 'Late lighthouse'])
      expect([phase, (await found('lantern'))[0]]).toEqual([phase, 'Changed lantern'])
      expect(await found('anchor')).not.toContain('Old anchor')
      await settleIndex(modules)
    }
    expect(await modules.reconciler.check()).toMatchObject(consistent)
    expect(servedPoints()).toBe(contents.length + 2)
  })

  it('a process that dies before or after the swap leaves what another one finishes', async () => {
    for (const moment of ['before', 'after']) {
      const dying = await openBeside()
      await modules.indexKeeper.stop()
      const rebuilding = dying.vectorIndex.rebuilding
      const serve = rebuilding?.serve
      Object.assign(rebuilding ?? {}, {
        serve: async (name: string) => {
          if (moment === 'after') await serve?.(name)
          throw new Error('killed')
        },
      })
      await dying.indexKeeper.rebuild()
      await expect(dying.indexKeeper.runOnce()).rejects.toThrow('killed')
      await dying.indexKeeper.stop()
      await addTo(modules, caller, { agentId: 'a', contents: [`Written ${moment} the swap`] })
      const next = await openBeside()
      await settleIndex(next)
      expect([...qdrant.collections.keys()]).toEqual([serving()])
      expect(await next.reconciler.check()).toMatchObject(consistent)
      await next.indexKeeper.stop()
    }
    expect(servedPoints()).toBe(contents.length + 2)
  })

  it('M7: an agent that is erased under way is in no collection afterwards', async () => {
    await modules.indexKeeper.rebuild()
    const rebuilding = modules.vectorIndex.rebuilding
    const into = rebuilding?.into
    Object.assign(rebuilding ?? {}, {
      into: (name: string) => ({
        remove: async () => {},
        upsert: async (...args: Parameters<NonNullable<ReturnType<NonNullable<typeof into>>['upsert']>>) => {
          await modules.agents.erase(caller, 'a')
          await into?.(name).upsert(...args)
        },
      }),
    })
    await settleIndex(modules)
    expect([...qdrant.collections.values()].map(({ points }) => points.size)).toEqual([0])
  })

  it('of several processes one builds, and the others do nothing until it is gone', async () => {
    const other = await openBeside()
    await modules.indexKeeper.rebuild()
    const before = serving()
    await other.indexKeeper.runOnce()
    expect(serving()).toBe(before)
    await modules.indexKeeper.stop()
    await settleIndex(other)
    expect(serving()).not.toBe(before)
  })
})

describe('another embedder', () => {
  const openOther = (overrides: ModuleOverrides = {}) =>
    openBeside({ embedder: createFakeEmbedder({ model: 'other', dimensions: 64 }), ...overrides })

  it('searches by the fallback and says so until its collection has caught up, then by that', async () => {
    const before = serving()
    const other = await openOther()
    const early = await searchIn(other, caller, { agentId: 'a', query: 'number7' })
    expect([early.results[0]?.memory.content, early.degraded]).toEqual([contents[7], ['index_lag', 'vector_index']])
    expect(serving()).toBe(before)
    await settleIndex(other)
    expect(serving()).not.toBe(before)
    expect([...qdrant.collections.keys()]).toEqual([serving()])
    const late = await searchIn(other, caller, { agentId: 'a', query: 'number7', mode: 'semantic' })
    expect([late.results[0]?.memory.content, late.degraded]).toEqual([contents[7], []])
    expect(await other.reconciler.check()).toMatchObject(consistent)
  })

  it('the old version searches its own collection until the swap, with the words of what is written, and stands in after', async () => {
    const other = await openOther()
    await addTo(modules, caller, { agentId: 'a', contents: ['Written by the old version of the lighthouse'] })
    await addTo(other, caller, { agentId: 'a', contents: ['Written by the new version of the lighthouse'] })
    const found = async (of: TestModules) => searchIn(of, caller, { agentId: 'a', query: 'lighthouse' })
    for (const phase of ['waiting', 'indexed', 'swapped']) {
      const [old, young] = [await found(modules), await found(other)]
      expect([phase, contentsOf(old).length >= 2, old.degraded.length > 0]).toEqual([phase, true, phase === 'swapped'])
      expect([phase, contentsOf(young).length >= 2, young.degraded.length > 0]).toEqual([
        phase,
        true,
        phase !== 'swapped',
      ])
      if (phase === 'waiting') await Promise.all([modules.indexer.drain(), other.indexer.drain()])
      else await settleIndex(other)
    }
  })

  it('the old version indexes nothing any more, so it undoes nothing', async () => {
    const other = await openOther()
    await addTo(modules, caller, { agentId: 'a', contents: ['A new one'] })
    const calls = modules.embedder.calls
    await settleIndex(modules)
    expect(modules.embedder.calls).toBe(calls)
    await settleIndex(other)
    expect(await other.reconciler.check()).toMatchObject(consistent)
    expect(servedPoints()).toBe(contents.length + 1)
  })

  it('that does not answer keeps the old collection in place until it does', async () => {
    const embedder = createFakeEmbedder({ model: 'other', dimensions: 32 })
    embedder.behaviour = 'unavailable'
    const other = await openOther({ embedder })
    const before = serving()
    await addTo(other, caller, { agentId: 'b', contents: Array.from({ length: 9 }, (_, at) => `Sentence ${at}`) })
    await settleIndex(other, 2)
    for (let at = 0; at < 9; at += 1) await addTo(other, caller, { agentId: 'b', contents: [`Single ${at}`] })
    await settleIndex(other, 2)
    expect(serving()).toBe(before)
    embedder.behaviour = 'answers'
    await moved(other, before)
    expect(await other.reconciler.check()).toMatchObject(consistent)
  })
})

describe('an index that is not what the clocks speak of', () => {
  it('one that was deleted by hand is filled anew, and until then searches say that something stands in', async () => {
    qdrant.collections.clear()
    qdrant.aliases.clear()
    const early = await searchIn(modules, caller, { agentId: 'a', query: 'number7' })
    expect([early.results[0]?.memory.content, early.degraded]).toEqual([contents[7], ['vector_index']])
    await modules.indexKeeper.runOnce()
    const soon = await searchIn(modules, caller, { agentId: 'a', query: 'number7' })
    expect([soon.results[0]?.memory.content, soon.degraded]).toEqual([contents[7], []])
    await settleIndex(modules)
    expect(await modules.reconciler.check()).toMatchObject(consistent)
    expect(servedPoints()).toBe(contents.length)
  })

  it('one that somebody else put behind the alias is not searched for long, and not touched', async () => {
    const stranger = await open()
    expect(serving()).not.toBe('none')
    const theirs = serving()
    await modules.indexKeeper.runOnce()
    await settleIndex(modules)
    expect(serving()).not.toBe(theirs)
    expect(qdrant.collections.has(theirs)).toBe(true)
    expect(await modules.reconciler.check()).toMatchObject(consistent)
    await stranger.indexKeeper.stop()
  })

  it('one from before the exact index was used for a while is filled anew', async () => {
    await modules.indexKeeper.stop()
    const exact = await createTestModules({ databaseUrl: modules.url })
    opened.push(exact)
    await addTo(exact, caller, { agentId: 'a', contents: ['Meanwhile a lighthouse'] })
    await exact.indexer.drain()
    const back = await openBeside()
    expect(contentsOf(await searchIn(back, caller, { agentId: 'a', query: 'lighthouse' }))).toContain(
      'Meanwhile a lighthouse',
    )
    await settleIndex(back)
    expect([...qdrant.collections.keys()]).toEqual([serving()])
    expect(await back.reconciler.check()).toMatchObject(consistent)
  })
})
