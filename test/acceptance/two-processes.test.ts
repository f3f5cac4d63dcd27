/** Two processes of the service on one PostgreSQL: they share nothing else, and agree all the same. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type EmbeddingServer, startEmbeddingServer } from '../support/embedding-server.ts'
import { call, createProcesses, type Running } from '../support/service-process.ts'

const { start, end } = createProcesses()
const operatorKey = 'operator-0123456789'
const keyCacheMs = 1_000

describe('two processes on one database', () => {
  let database: TestDatabase
  let embeddings: EmbeddingServer
  let one: Running
  let two: Running

  beforeAll(async () => {
    database = await createTestDatabase()
    embeddings = await startEmbeddingServer()
    const env = {
      ...database.env,
      AGEMEM_EMBEDDER_URL: embeddings.url,
      AGEMEM_EMBEDDER_MODEL: embeddings.model,
      AGEMEM_OPERATOR_KEY: operatorKey,
      AGEMEM_KEY_CACHE_MS: String(keyCacheMs),
    }
    const started = await Promise.all([start({ env }), start({ env })])
    // Both start at once on an empty database, and one of them makes the first key.
    const keys = started.map(({ key }) => key).filter((key) => key !== '')
    expect(keys).toHaveLength(1)
    const [first, second] = started.map((service) => ({ ...service, key: keys[0] ?? '' }))
    if (first === undefined || second === undefined) throw new Error('two were started')
    one = first
    two = second
  }, 120_000)
  afterAll(async () => {
    await end()
    await embeddings?.close()
    await database?.drop()
  }, 60_000)

  const contentsFound = async (service: Running, agent: string, query: string): Promise<readonly string[]> => {
    const body = { query, top_k: 100 }
    const answer = await (await call(service, `/v1/agents/${agent}/memories/search`, { body })).json()
    return (answer as { results: { memory: { content: string } }[] }).results.map(({ memory }) => memory.content)
  }

  it('M3, M4: what one has acknowledged the other finds at once, and what one has deleted it does not', async () => {
    for (let at = 0; at < 20; at += 1) {
      const [writer, reader] = at % 2 === 0 ? [one, two] : [two, one]
      const content = `pebble number ${at}`
      const added = await call(writer, '/v1/agents/shared/memories', { body: { content } })
      const { memory_id: memoryId } = (await added.json()) as { memory_id: string }
      expect(await contentsFound(reader, 'shared', `pebble ${at}`)).toContain(content)
      if (at % 4 !== 0) continue
      const target = `/v1/agents/shared/memories/${memoryId}`
      expect((await call(writer, target, { method: 'DELETE', headers: { 'if-match': '*' } })).status).toBe(204)
      expect(await contentsFound(reader, 'shared', `pebble ${at}`)).not.toContain(content)
    }
  })

  it('M2: one Idempotency-Key at both at once has one effect', async () => {
    const headers = { 'idempotency-key': 'both-at-once' }
    const add = (service: Running) => call(service, '/v1/agents/once/memories', { body: { content: 'once' }, headers })
    const answers = await Promise.all([one, two, one, two].map(add))
    const statuses = answers.map(({ status }) => status)
    expect(statuses).toContain(201)
    expect(statuses.filter((status) => status !== 201 && status !== 409)).toEqual([])
    expect(await (await call(one, '/v1/agents/once')).json()).toMatchObject({ memory_count: 1 })
  })

  it('a revoked key is refused at once where it was revoked, and at the other within AGEMEM_KEY_CACHE_MS', async () => {
    const payload = { name: 'short-lived', scopes: ['usage:read'] }
    const made = (await (await call(one, '/v1/keys', { body: payload })).json()) as { key: string; key_id: string }
    const statusAt = async (service: Running) => (await call({ ...service, key: made.key }, '/v1/usage')).status
    expect([await statusAt(one), await statusAt(two)]).toEqual([200, 200])
    expect((await call(one, `/v1/keys/${made.key_id}`, { method: 'DELETE' })).status).toBe(204)
    const revokedMs = Date.now()
    expect(await statusAt(one)).toBe(401)
    let lastAcceptedMs = revokedMs
    await expect
      .poll(
        async () => {
          const askedMs = Date.now()
          const status = await statusAt(two)
          if (status === 200) lastAcceptedMs = askedMs
          return status
        },
        { interval: 20 },
      )
      .toBe(401)
    expect(lastAcceptedMs - revokedMs).toBeLessThanOrEqual(keyCacheMs)
  })

  it('M5: both index side by side and do no harm', async () => {
    const batch = (service: Running, agent: string) =>
      call(service, `/v1/agents/${agent}/memories/batch`, {
        body: { memories: Array.from({ length: 60 }, (_, at) => ({ content: `Stone ${at} of ${agent}` })) },
      })
    const agents = ['left', 'right', 'middle', 'edge']
    const stored = await Promise.all(agents.flatMap((agent) => [batch(one, agent), batch(two, agent)]))
    expect(stored.map(({ status }) => status)).toEqual(stored.map(() => 200))
    for (const agent of agents)
      await expect
        .poll(async () => (await (await call(two, `/v1/agents/${agent}`)).json()) as object)
        .toMatchObject({ memory_count: 120, index_lag: 0 })
    for (const service of [one, two]) {
      const report = await call({ ...service, key: operatorKey }, '/v1/admin/consistency')
      expect(await report.json()).toMatchObject({ consistent: true })
    }
    expect(await contentsFound(one, 'left', 'stone 7')).toEqual(await contentsFound(two, 'left', 'stone 7'))
  })
})
