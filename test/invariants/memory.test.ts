import { createHash } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SearchRequest } from '../../src/modules/memory/memory-search.service.ts'
import type { VectorIndex } from '../../src/ports/vector-index.ts'
import type { Caller } from '../../src/shared/caller.ts'
import { createTestModules, type TestModules } from '../support/modules.ts'
import { type QdrantStandIn, startQdrantStandIn } from '../support/qdrant-stand-in.ts'

const claimOf = (key: string, body: string) => ({ key, requestHash: createHash('sha256').update(body).digest() })

describe.each(['exact', 'qdrant'])('long-term memory over the %s index', (driver) => {
  let modules: TestModules
  let qdrant: QdrantStandIn | undefined
  let caller: Caller
  /** As the superuser, whom row level security does not hold. */
  let database: pg.Pool
  /** An index that forgets nothing it was told to remove, on demand. */
  let isLossy = false

  const keepRemoved = (index: VectorIndex): VectorIndex => ({
    ...index,
    remove: async (...args) => (isLossy ? undefined : index.remove(...args)),
  })
  const add = (agentId: string, content: string, more: object = {}) =>
    modules.memories.add(caller, { agentId, memory: { content, ...more } })
  const search = async (agentId: string, query: string, more: Partial<SearchRequest> = {}, who = caller) => {
    const request = {
      agentId,
      query,
      topK: 10,
      mode: 'hybrid',
      metadataFilter: {},
      memoryType: null,
      minScore: null,
    } as const
    return modules.search.search(who, { ...request, ...more })
  }
  const contentsOf = async (...args: Parameters<typeof search>) =>
    (await search(...args)).results.map(({ memory }) => memory.content)

  const rowsWith = async (agentId: string, table: 'memory' | 'memory_version'): Promise<number> =>
    (await database.query(`select 1 from ${table} where agent_id = $1`, [agentId])).rowCount ?? 0
  /** By the clock of PostgreSQL, which no test moves. */
  const expireNow = (agentId: string) =>
    database.query('update memory set expires_at = now() where agent_id = $1', [agentId])

  beforeAll(async () => {
    qdrant = driver === 'qdrant' ? await startQdrantStandIn() : undefined
    modules = await createTestModules({ wrapIndex: keepRemoved, ...(qdrant && { qdrantUrl: qdrant.url }) })
    database = new pg.Pool({ connectionString: modules.url })
    caller = await modules.makeCaller()
  })
  afterAll(async () => {
    await database.end()
    await modules.close()
    await qdrant?.stop()
  })

  it('M2: a retry with the same idempotency key has one effect and one answer', async () => {
    const retried = { ...caller, idempotency: claimOf('add-once', 'tea') }
    const memory = { content: 'Likes tea', metadata: { z: 1, a: { y: 2, b: 3 } } }
    const first = await modules.memories.add(retried, { agentId: 'm2', memory })
    const second = await modules.memories.add(retried, { agentId: 'm2', memory })
    expect(second).toEqual(first)
    expect((await modules.agents.get(caller, 'm2')).memoryCount).toBe(1)
  })

  it('M2: the same key with another request is refused and changes nothing', async () => {
    await modules.memories.add(
      { ...caller, idempotency: claimOf('k', 'one') },
      { agentId: 'm2b', memory: { content: 'One' } },
    )
    const other = { ...caller, idempotency: claimOf('k', 'two') }
    await expect(modules.memories.add(other, { agentId: 'm2b', memory: { content: 'Two' } })).rejects.toMatchObject({
      code: 'idempotency.key_reused',
      status: 422,
    })
    expect((await modules.agents.get(caller, 'm2b')).memoryCount).toBe(1)
  })

  it('M2: many requests with one key at once have one effect', async () => {
    const retried = { ...caller, idempotency: claimOf('race', 'x') }
    const tries = await Promise.allSettled(
      Array.from({ length: 8 }, () => modules.memories.add(retried, { agentId: 'm2c', memory: { content: 'Once' } })),
    )
    const refused = tries.filter((tried) => tried.status === 'rejected').map(({ reason }) => reason.code)
    expect(new Set(refused)).toEqual(new Set(['idempotency.in_flight']))
    expect((await modules.agents.get(caller, 'm2c')).memoryCount).toBe(1)
  })

  it('M3: a deleted memory is never retrieved, even if the index still holds it', async () => {
    const { memoryId } = await add('m3', 'The secret word is heliotrope')
    await modules.indexer.drain()
    isLossy = true
    await modules.memories.delete(caller, { agentId: 'm3', memoryId, expected: 1 })
    expect(await contentsOf('m3', 'heliotrope secret word')).toEqual([])
    await modules.indexer.drain()
    expect(await contentsOf('m3', 'heliotrope secret word')).toEqual([])
    isLossy = false
    await modules.reconciler.repair()
  })

  it('M3: an expired memory is invisible at its moment, and purged later', async () => {
    const { memoryId } = await add('m3b', 'Parking ticket valid for one hour', { ttlSeconds: 3_600 })
    await modules.indexer.drain()
    expect(await contentsOf('m3b', 'parking ticket')).toHaveLength(1)
    modules.clock.advance(3_601_000)
    expect(await contentsOf('m3b', 'parking ticket')).toEqual([])
    await expect(modules.memories.get(caller, { agentId: 'm3b', memoryId })).rejects.toMatchObject({ status: 404 })
    expect(await rowsWith('m3b', 'memory')).toBe(1)
    await expireNow('m3b')
    await modules.maintenance.runOnce()
    expect([await rowsWith('m3b', 'memory'), await rowsWith('m3b', 'memory_version')]).toEqual([0, 0])
    await modules.indexer.drain()
    expect(await modules.reconciler.check()).toMatchObject({ consistent: true })
    expect((await modules.agents.get(caller, 'm3b')).memoryCount).toBe(0)
  })

  it('M1: a memory that gets more time while it is being purged stays, with its versions', async () => {
    const { memoryId } = await add('m1', 'Parking ticket', { ttlSeconds: 3_600 })
    const change = { content: 'Parking ticket of today' }
    await modules.memories.update(caller, { agentId: 'm1', memoryId, expected: 1, change })
    await expireNow('m1')
    const writer = await database.connect()
    await writer.query(`begin; select 1 from agent where agent_id = 'm1' for no key update`)
    const purging = modules.maintenance.runOnce()
    const waiting = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
    await expect.poll(async () => (await database.query(waiting)).rowCount).toBe(1)
    await writer.query(`update memory set expires_at = now() + interval '2 days' where agent_id = 'm1'; commit`)
    writer.release()
    await purging
    expect([await rowsWith('m1', 'memory'), await rowsWith('m1', 'memory_version')]).toEqual([1, 1])
  })

  it('M4: a memory written before a RETRIEVE is a candidate in it, indexed or not', async () => {
    await add('m4', 'Zebras graze at dawn')
    await modules.indexer.drain()
    await add('m4', 'Giraffes graze at noon')
    expect(await contentsOf('m4', 'who grazes at noon, giraffes?')).toContain('Giraffes graze at noon')
    expect(await contentsOf('m4', 'zebras')).toContain('Zebras graze at dawn')
  })

  it('M4: a memory is found by its meaning at once, before and after its words are indexed', async () => {
    await add('m4d', 'Zebras graze at dawn')
    expect(await contentsOf('m4d', 'zebras', { mode: 'semantic' })).toEqual(['Zebras graze at dawn'])
    modules.embedder.behaviour = 'unavailable'
    await modules.indexer.drain()
    modules.embedder.behaviour = 'answers'
    const answer = await search('m4d', 'zebras', { mode: 'semantic' })
    expect([answer.results.length, answer.degraded]).toEqual([1, []])
  })

  it('M4: what is too much to be embedded in a search is named in its answer', async () => {
    const memories = Array.from({ length: 40 }, (_, at) => ({ content: `Zebra number ${at}` }))
    await modules.memories.addMany(caller, { agentId: 'm4e', memories })
    expect((await search('m4e', 'zebra')).degraded).toEqual(['index_lag'])
    expect((await search('m4e', 'zebra', { mode: 'keyword' })).degraded).toEqual([])
    await modules.indexer.drain()
    expect((await search('m4e', 'zebra')).degraded).toEqual([])
  })

  it('M4: an update is searched at once under its new content and not under its old', async () => {
    const { memoryId } = await add('m4b', 'Lives in Porto')
    await modules.indexer.drain()
    const change = { content: 'Lives in Lisbon' }
    await modules.memories.update(caller, { agentId: 'm4b', memoryId, expected: 1, change })
    expect(await contentsOf('m4b', 'porto', { mode: 'keyword' })).toEqual([])
    expect(await contentsOf('m4b', 'lisbon', { mode: 'keyword' })).toEqual(['Lives in Lisbon'])
    await modules.indexer.drain()
    expect(await contentsOf('m4b', 'porto', { mode: 'keyword' })).toEqual([])
    expect(await contentsOf('m4b', 'lisbon', { mode: 'keyword' })).toEqual(['Lives in Lisbon'])
  })

  it('M4: words find a memory while the embedder is away, and the answer says so', async () => {
    modules.embedder.behaviour = 'unavailable'
    await add('m4c', 'Quokkas smile')
    await modules.indexer.drain()
    const answer = await search('m4c', 'quokkas')
    expect(answer.degraded).toEqual(['embedder'])
    expect(answer.results.map(({ memory }) => [memory.content, memory.indexState])).toEqual([
      ['Quokkas smile', 'pending'],
    ])
    modules.embedder.behaviour = 'answers'
  })

  it('M5: after quiet, PostgreSQL and the index hold the same ids at the same versions', async () => {
    const added = await modules.memories.addMany(caller, {
      agentId: 'm5',
      memories: Array.from({ length: 700 }, (_, at) => ({ content: `Fact ${at} of the town` })).slice(0, 500),
    })
    const ids = added.flatMap((result) => ('memory' in result ? [result.memory.memoryId] : []))
    for (const memoryId of ids.slice(0, 20))
      await modules.memories.update(caller, { agentId: 'm5', memoryId, expected: '*', change: { content: 'Changed' } })
    for (const memoryId of ids.slice(20, 40))
      await modules.memories.delete(caller, { agentId: 'm5', memoryId, expected: '*' })
    await modules.indexer.drain()
    const report = await modules.reconciler.check()
    expect(report).toMatchObject({ consistent: true, missingInIndex: 0, orphanedInIndex: 0, outdatedInIndex: 0 })
    expect(report.memoriesChecked).toBeGreaterThanOrEqual(480)
  })

  it('M5: the term counts of an agent are those of its memories, whatever was changed and deleted', async () => {
    const { memoryId } = await add('m5b', 'apple apple banana')
    await modules.indexer.drain()
    await modules.memories.update(caller, { agentId: 'm5b', memoryId, expected: '*', change: { content: 'cherry' } })
    await modules.indexer.drain()
    const other = await add('m5b', 'cherry pie')
    await modules.indexer.drain()
    await modules.memories.delete(caller, { agentId: 'm5b', memoryId: other.memoryId, expected: '*' })
    await modules.indexer.drain()
    const client = new pg.Client({ connectionString: modules.url })
    await client.connect()
    const terms = await client.query(
      `select document_count from agent_term where agent_id = 'm5b' and document_count <> 0`,
    )
    const agent = await client.query(`select document_count from agent where agent_id = 'm5b'`)
    await client.end()
    expect([terms.rows, agent.rows]).toEqual([[{ document_count: 1 }], [{ document_count: '1' }]])
  })

  it('M6: an erased memory never comes back, and a new life of the agent starts empty', async () => {
    await add('m6', 'Old life')
    await modules.indexer.drain()
    await add('m6', 'Not yet indexed')
    await modules.agents.erase(caller, 'm6')
    await modules.indexer.drain()
    expect(await contentsOf('m6', 'old life indexed')).toEqual([])
    await add('m6', 'New life')
    await modules.indexer.drain()
    expect(await contentsOf('m6', 'old life')).toEqual(['New life'])
  })

  it('M7: erasing an agent leaves its content in no table, and the receipt counts each store', async () => {
    const marker = 'xylophone-4711'
    const retried = { ...caller, idempotency: claimOf('m7', marker) }
    const { memoryId } = await modules.memories.add(retried, { agentId: 'm7', memory: { content: marker } })
    await modules.memories.update(caller, {
      agentId: 'm7',
      memoryId,
      expected: '*',
      change: { content: `${marker} again` },
    })
    const session = await modules.sessions.create(caller, { agentId: 'm7' }, modules.contexts.startContext([]))
    const { sessionId } = session
    const messages = [{ role: 'user' as const, content: `tell me of ${marker}` }]
    await modules.contexts.append(caller, { sessionId, messages, expected: null })
    await modules.tools.call(caller, { sessionId, key: 'retrieve_memory', args: { query: marker }, door: 'http' })
    await modules.indexer.drain()
    expect(await contentsOf('m7', marker)).toHaveLength(1)
    const erasure = await modules.agents.erase(caller, 'm7')
    expect(erasure.status).toBe('completed')
    const removed = Object.fromEntries(erasure.stores.map(({ store, removed: count }) => [store, count]))
    expect(removed).toMatchObject({
      memories: 1,
      memory_versions: 1,
      sessions: 1,
      steps: 1,
      stored_answers: 1,
      vector_index: 1,
    })
    const client = new pg.Client({ connectionString: modules.url })
    await client.connect()
    const tables = await client.query(
      `select relname from pg_class join pg_namespace n on n.oid = relnamespace where nspname = 'public' and relkind = 'r'`,
    )
    for (const { relname } of tables.rows) {
      const { rows } = await client.query(
        `select count(*)::int as found from "${relname}" as t where t::text like '%${marker}%'`,
      )
      expect([relname, rows[0].found]).toEqual([relname, 0])
    }
    await client.end()
  })

  it('M8: a revert restores content and metadata of that version as a new version', async () => {
    const { memoryId } = await add('m8', 'First', { metadata: { a: 1 }, memoryType: 'fact' })
    const change = { content: 'Second', metadata: { b: 2 }, memoryType: null }
    await modules.memories.update(caller, { agentId: 'm8', memoryId, expected: 1, change })
    const reverted = await modules.memories.revert(caller, { agentId: 'm8', memoryId, version: 1, expected: 2 })
    expect(reverted).toMatchObject({ content: 'First', metadata: { a: 1 }, memoryType: 'fact', version: 3 })
    const { data } = await modules.memories.listVersions(
      caller,
      { agentId: 'm8', memoryId },
      { cursor: null, limit: 10 },
    )
    expect(data.map(({ version, content }) => [version, content])).toEqual([
      [3, 'First'],
      [2, 'Second'],
      [1, 'First'],
    ])
  })

  it('M9: a metadata filter is applied before top-k', async () => {
    await modules.memories.addMany(caller, {
      agentId: 'm9',
      memories: Array.from({ length: 400 }, (_, at) => ({
        content: `The weather report of day ${at} says weather`,
        metadata: { rare: at % 100 === 0, nested: { at } },
      })),
    })
    const filtered = () => search('m9', 'weather report', { metadataFilter: { rare: true }, topK: 4 })
    expect((await filtered()).results).toHaveLength(4)
    await modules.indexer.drain()
    expect((await filtered()).results).toHaveLength(4)
    expect((await search('m9', 'weather', { metadataFilter: { nested: { at: 7 } } })).results).toHaveLength(1)
  })

  it('a memory that the embedder refuses is marked failed, is found by its words, and holds nobody up', async () => {
    const { memoryId } = await add('poisoned', 'this is poison for the model')
    await add('poisoned', 'this is fine')
    await modules.indexer.drain()
    expect((await modules.memories.get(caller, { agentId: 'poisoned', memoryId })).indexState).toBe('failed')
    expect(await contentsOf('poisoned', 'poison', { mode: 'keyword' })).toHaveLength(1)
    expect((await modules.agents.get(caller, 'poisoned')).indexLag).toBe(0)
  })

  it('T1: the scores of a query are the same to the bit before and after another tenant writes 1,000 memories', async () => {
    for (const content of ['The red fox runs', 'A fox sleeps', 'Red wine']) await add('fox', content)
    await modules.indexer.drain()
    const scores = async () =>
      (await search('fox', 'red fox')).results.map(({ score, scores: parts }) => [score, parts])
    const before = await scores()
    const other = await modules.makeCaller()
    for (let batch = 0; batch < 2; batch += 1) {
      const memories = Array.from({ length: 500 }, (_, at) => ({ content: `The red fox number ${at}` }))
      await modules.memories.addMany(other, { agentId: 'fox', memories })
    }
    await modules.indexer.drain()
    expect(await scores()).toEqual(before)
    expect(before).toHaveLength(3)
  })

  it('T1: another tenant finds, reads and changes nothing under the same ids', async () => {
    const { memoryId } = await add('mine', 'Only mine')
    const other = await modules.makeCaller()
    expect(await contentsOf('mine', 'only mine', {}, other)).toEqual([])
    const target = { agentId: 'mine', memoryId }
    await expect(modules.memories.get(other, target)).rejects.toMatchObject({ code: 'memory.not_found' })
    await expect(modules.memories.delete(other, { ...target, expected: '*' })).rejects.toMatchObject({ status: 404 })
    await expect(modules.agents.erase(other, 'mine')).rejects.toMatchObject({ code: 'agent.not_found' })
    expect((await modules.memories.get(caller, target)).content).toBe('Only mine')
  })
})
