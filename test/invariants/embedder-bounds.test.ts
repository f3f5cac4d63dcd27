/** What requests cost that need an embedder which is slow: what came is used, what is missing is said. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Caller } from '../../src/shared/caller.ts'
import { addTo, contentsOf, searchIn } from '../support/memory-driver.ts'
import { createTestModules, type TestModules } from '../support/modules.ts'

let modules: TestModules
let caller: Caller

beforeEach(async () => {
  modules = await createTestModules({ settings: { embedTimeoutMs: 300 } })
  caller = await modules.makeCaller()
})
afterEach(() => modules.close())

const openSession = async (contents: readonly string[]) => {
  const messages = contents.map((content) => ({ role: 'user' as const, content }))
  const start = modules.contexts.startContext(messages)
  return (await modules.sessions.create(caller, { agentId: 'a', options: {} }, start)).sessionId
}
const filter = (sessionId: string, criteria: string) =>
  modules.tools.call(caller, { sessionId, key: 'filter_context', args: { criteria }, door: 'http' })
const add = (whose: Caller, content: string) => modules.memories.add(whose, { agentId: 'a', memory: { content } })

describe('FILTER with an embedder that does not come to all messages', () => {
  it('A6: takes out what it could compare, leaves the rest in, and says so; the next call ends it', async () => {
    const sessionId = await openSession(['weather today', 'weather quagmire', 'The budget is 900', 'What next?'])
    Object.assign(modules.embedder, { isGradual: true, hangsOn: 'quagmire' })
    const partial = await filter(sessionId, 'weather')
    expect(partial.degraded).toEqual(['embedder'])
    expect(partial.result).toMatchObject({ not_compared: 1, removed: [expect.anything()] })
    Object.assign(modules.embedder, { hangsOn: null })
    const rest = await filter(sessionId, 'weather')
    expect(rest.degraded).toEqual([])
    expect(rest.result).toMatchObject({ removed: [expect.anything()] })
    expect(rest.result).not.toHaveProperty('not_compared')
  })

  it('is refused with a time to come back, and removes nothing, when no message could be compared', async () => {
    const sessionId = await openSession(['weather quagmire', 'What next?'])
    Object.assign(modules.embedder, { isGradual: true, hangsOn: 'quagmire' })
    await expect(filter(sessionId, 'weather')).rejects.toMatchObject({
      ...{ code: 'embedder.unavailable', status: 503, retryAfterSeconds: 1 },
    })
  })
})

describe('a search soon after a write', () => {
  it('A6: uses the vectors that came in time, and says that some are missing', async () => {
    await addTo(modules, caller, { agentId: 'a', contents: ['The lighthouse is white', 'A quagmire of a text'] })
    Object.assign(modules.embedder, { isGradual: true, hangsOn: 'quagmire' })
    const answer = await searchIn(modules, caller, { agentId: 'a', query: 'lighthouse', mode: 'semantic' })
    expect([contentsOf(answer)[0], answer.degraded]).toEqual(['The lighthouse is white', ['index_lag']])
  })
})

describe('the check for near duplicates', () => {
  it("A2: of one tenant does not wait for another's that hangs, and is done", async () => {
    const other = await modules.makeCaller()
    await add(caller, 'Ana likes tea')
    await modules.indexer.drain()
    modules.embedder.hangsOn = 'quagmire'
    const hanging = add(other, 'A quagmire of a text')
    // The agent of the other tenant is new, so its own check has nothing to look for; this one hangs.
    await hanging
    const stuck = add(other, 'Another quagmire')
    await expect.poll(() => modules.embedder.hanging()).toBeGreaterThan(0)
    expect((await add(caller, 'Ana likes tea a lot')).duplicateCheck).toBe('near')
    expect((await stuck).duplicateCheck).toBe('skipped')
  })

  it('says when it was not done: a second at once, in the moment after one that hung, and in batches', async () => {
    await add(caller, 'Ana likes tea')
    await modules.indexer.drain()
    modules.embedder.hangsOn = 'quagmire'
    const stuck = add(caller, 'A quagmire of a text')
    await expect.poll(() => modules.embedder.hanging()).toBeGreaterThan(0)
    expect((await add(caller, 'Ana likes coffee')).duplicateCheck).toBe('skipped')
    expect((await stuck).duplicateCheck).toBe('skipped')
    expect((await add(caller, 'Ana likes milk')).duplicateCheck).toBe('skipped')
    modules.clock.advance(10_000)
    modules.embedder.hangsOn = null
    expect((await add(caller, 'Ana likes water')).duplicateCheck).toBe('near')
    const [batched] = await modules.memories.addMany(caller, { agentId: 'a', memories: [{ content: 'Ana likes tea' }] })
    expect(batched).toMatchObject({ memory: { duplicateCheck: 'identical', duplicateOf: { similarity: 1 } } })
  })

  it('of the tool is said to be missing in degraded', async () => {
    await add(caller, 'Ana likes tea')
    await modules.indexer.drain()
    const sessionId = await openSession(['Hello'])
    modules.embedder.behaviour = 'unavailable'
    const args = { content: 'Ana likes tea a lot' }
    const answer = await modules.tools.call(caller, { sessionId, key: 'add_memory', args, door: 'http' })
    expect(answer.degraded).toEqual(['duplicates'])
  })
})
