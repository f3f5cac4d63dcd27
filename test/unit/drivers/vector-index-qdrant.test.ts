import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { vectorNameOf } from '../../../src/drivers/vector-index/qdrant-collection.ts'
import type { QdrantIndexOptions } from '../../../src/drivers/vector-index/qdrant-connection.ts'
import { createQdrantIndex } from '../../../src/drivers/vector-index/qdrant-index.ts'
import { pointIdOf } from '../../../src/drivers/vector-index/qdrant-points.ts'
import type { VectorIndex } from '../../../src/ports/vector-index.ts'
import { dimensions, makePoint, makeQuery, makeRandomPoints, memoryIdAt } from '../../contract/vector-index.data.ts'
import { sendEndless, sendTrickle } from '../../support/endless-answers.ts'
import { type QdrantStandIn, startQdrantStandIn } from '../../support/qdrant-stand-in.ts'

const unavailable = { code: 'vector_index.unavailable', status: 503, retryable: true }
const misbehaved = { code: 'vector_index.misbehaved', retryable: false }
const space = ['ten_1', 'spc_1'] as const

let server: QdrantStandIn
let nowMs = 0
const opened: VectorIndex[] = []
const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs }

const open = (changes: Partial<QdrantIndexOptions> = {}): VectorIndex => {
  const index = createQdrantIndex({
    ...{ url: server.url, apiKey: null, collectionPrefix: 'agemem', model: 'model', dimensions },
    ...{ timeoutMs: 5_000, writeTimeoutMs: 5_000, clock, logger: pino({ level: 'silent' }), ...changes },
  })
  opened.push(index)
  return index
}

/** Ready, with two memories in it. */
const openFilled = async (changes: Partial<QdrantIndexOptions> = {}): Promise<VectorIndex> => {
  const index = open(changes)
  await index.ensureReady()
  await index.upsert(...space, [makePoint(1), makePoint(2)])
  server.requests.splice(0)
  return index
}

beforeEach(async () => {
  nowMs = 0
  server = await startQdrantStandIn()
})
afterEach(async () => {
  for (const index of opened.splice(0)) await index.close()
  await server.stop()
})

describe('what is asked of the server', () => {
  it('a search is one request, whose answer is wanted uncompressed', async () => {
    const index = await openFilled()
    await index.search(...space, makeQuery())
    expect(server.requests).toMatchObject([
      { path: '/collections/agemem/points/query/batch', headers: { 'accept-encoding': 'identity' } },
    ])
  })

  it('nothing is asked and nothing is printed by the client on its own', async () => {
    const [warn, log] = [vi.spyOn(console, 'warn'), vi.spyOn(console, 'log')]
    open({ apiKey: 'secret' })
    await new Promise((resolve) => setImmediate(resolve))
    expect([warn.mock.calls, log.mock.calls, server.requests]).toEqual([[], [], []])
    vi.restoreAllMocks()
  })

  it('the collection has the layout that many tenants need, and everything of it before its alias', async () => {
    await open().ensureReady()
    expect(Object.fromEntries(server.aliases)).toEqual({ agemem: 'agemem-1' })
    expect(server.collections.get('agemem-1')).toMatchObject({
      vectors: { content_model_16: { size: 16, distance: 'Cosine' } },
      sparseVectors: { words: {} },
      hnswConfig: { m: 0, payload_m: 16 },
      payloadSchema: {
        tenant_id: { data_type: 'keyword', params: { type: 'keyword', is_tenant: true } },
        space_id: { data_type: 'keyword' },
        facets: { data_type: 'keyword' },
        expires_at: { data_type: 'integer' },
        revision: { data_type: 'integer' },
      },
    })
    expect(server.collections.get('agemem-1')?.sparseVectors).toEqual({ words: {} })
    expect(server.requests.at(-1)?.path).toBe('/collections/aliases')
  })

  it('a start that died in the middle is finished by the next one', async () => {
    await open().ensureReady()
    server.aliases.clear()
    const index = open()
    await index.ensureReady()
    await index.upsert(...space, [makePoint(1)])
    expect((await index.search(...space, makeQuery())).dense).toHaveLength(1)
  })

  it('600 points are three requests', async () => {
    const index = await openFilled()
    await index.upsert(...space, makeRandomPoints(600, 1))
    expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(
      Array.from({ length: 3 }, () => 'PUT /collections/agemem/points?wait=true'),
    )
  })

  it('the path and the port of the URL are kept', async () => {
    await expect(open({ url: `${server.url}/qdrant/` }).ensureReady()).rejects.toMatchObject(unavailable)
    expect(server.requests.map(({ path }) => path)).toContain('/qdrant/aliases')
  })

  it('models are told apart by the names of their vectors, also where only the case differs', () => {
    const nameOf = (model: string) => vectorNameOf({ model, dimensions: 4 })
    expect(nameOf('text-embedding-3-small')).toBe('content_text-embedding-3-small_4')
    expect(nameOf('BAAI/bge-m3')).toMatch(/^content_baai-bge-m3_4_[0-9a-f]{8}$/)
    expect(new Set(['a/b', 'a-b', 'A-B', 'a b'].map(nameOf)).size).toBe(4)
  })

  it('T1: the id of a point hangs on tenant, space and memory, and no made-up id reaches the point of others', () => {
    const ids = [
      pointIdOf(['ten_1', 'spc_1'], 'mem_1'),
      pointIdOf(['ten_2', 'spc_1'], 'mem_1'),
      pointIdOf(['ten_1', 'spc_2'], 'mem_1'),
      pointIdOf(['ten_1', 'spc_1'], 'mem_2'),
      pointIdOf(['ten_1', 'spc_1","mem_1'], ''),
      pointIdOf(['ten_1spc_1', ''], 'mem_1'),
    ]
    expect(new Set(ids).size).toBe(ids.length)
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(pointIdOf(['ten_1', 'spc_1'], 'mem_1')).toBe(ids[0])
  })
})

describe('a server in trouble', () => {
  it('one that is down is unavailable, and so it is said of its health', async () => {
    const index = await openFilled()
    await server.stop()
    await expect(index.search(...space, makeQuery())).rejects.toMatchObject(unavailable)
    expect(await index.checkHealth()).toMatchObject({ ready: false })
  })

  it('one that does not answer in time is unavailable', async () => {
    const index = await openFilled({ timeoutMs: 30 })
    server.faults.hangs = true
    await expect(index.search(...space, makeQuery())).rejects.toMatchObject(unavailable)
  })

  it("a caller's deadline is a missed deadline, and a caller who gives up gets the own reason", async () => {
    const index = await openFilled()
    server.faults.hangs = true
    const late = index.search(...space, makeQuery(), { signal: AbortSignal.timeout(20) })
    await expect(late).rejects.toMatchObject(unavailable)
    const caller = new AbortController()
    const given = index.search(...space, makeQuery(), { signal: caller.signal })
    caller.abort(new Error('gone'))
    await expect(given).rejects.toThrow('gone')
  })

  it('a single failure or cut answer is asked again, unnoticed', async () => {
    const index = await openFilled()
    server.faults.failTimes = 1
    expect((await index.search(...space, makeQuery())).dense).toHaveLength(2)
    server.faults.cutTimes = 1
    expect((await index.search(...space, makeQuery())).dense).toHaveLength(2)
    server.faults.failTimes = 1
    server.faults.failStatus = 429
    await index.upsert(...space, [makePoint(3)])
    expect((await index.search(...space, makeQuery())).dense).toHaveLength(3)
  })

  it.each([500, 502, 503, 429])('one that keeps answering %i is unavailable', async (status) => {
    const index = await openFilled()
    Object.assign(server.faults, { failTimes: 2, failStatus: status })
    await expect(index.search(...space, makeQuery())).rejects.toMatchObject(unavailable)
  })

  it('one that closes every connection in the middle of its answer is unavailable', async () => {
    const index = await openFilled()
    server.faults.cutTimes = 2
    await expect(index.search(...space, makeQuery())).rejects.toMatchObject(unavailable)
  })

  it('after three failures it is left alone but for one call a second, and used again from its first answer on', async () => {
    const index = await openFilled()
    const search = () => index.search(...space, makeQuery())
    server.faults.failTimes = 1_000
    for (let call = 0; call < 3; call += 1) await expect(search()).rejects.toMatchObject(unavailable)
    server.requests.splice(0)
    for (let call = 0; call < 20; call += 1) await expect(search()).rejects.toMatchObject(unavailable)
    expect(server.requests).toEqual([])
    nowMs = 1_000
    await Promise.allSettled([search(), search(), search()])
    expect(server.requests).toHaveLength(2)
    server.faults.failTimes = 0
    await expect(search()).rejects.toMatchObject(unavailable)
    nowMs = 2_000
    for (let call = 0; call < 3; call += 1) expect((await search()).dense).toHaveLength(2)
  })

  it("one that comes back without its index is unavailable until there is one again, and not the breaker's", async () => {
    const index = await openFilled()
    await server.stop()
    await expect(index.search(...space, makeQuery())).rejects.toMatchObject(unavailable)
    server = await startQdrantStandIn({ port: server.port })
    for (let call = 0; call < 5; call += 1)
      await expect(index.search(...space, makeQuery())).rejects.toMatchObject(unavailable)
    expect(await index.checkHealth()).toMatchObject({ ready: false, detail: 'qdrant: there is no index yet' })
    await open().ensureReady()
    expect(await index.search(...space, makeQuery())).toEqual({ dense: [], sparse: [] })
    await index.upsert(...space, [makePoint(1)])
    expect((await index.search(...space, makeQuery())).dense).toHaveLength(1)
  })

  it('one that was away at the start can be made ready later', async () => {
    server.faults.failTimes = 2
    const index = open()
    await expect(index.ensureReady()).rejects.toMatchObject(unavailable)
    await index.ensureReady()
    await index.upsert(...space, [makePoint(1)])
    expect(await index.checkHealth()).toMatchObject({ ready: true })
  })
})

describe('an index of another embedder', () => {
  it('is not ready, and refusals for it are not failures that the breaker counts', async () => {
    const index = await openFilled()
    const { rebuilding, checkHealth } = open({ model: 'other' })
    expect(await checkHealth()).toMatchObject({ ready: false, detail: expect.stringContaining('rebuilt') })
    await rebuilding?.create('agemem-2')
    await rebuilding?.serve('agemem-2')
    for (let call = 0; call < 5; call += 1)
      await expect(index.search(...space, makeQuery())).rejects.toMatchObject(unavailable)
    server.requests.splice(0)
    await rebuilding?.serve('agemem-1')
    expect(server.requests.map(({ path }) => path)).toEqual(['/collections/aliases'])
    expect((await index.search(...space, makeQuery())).dense).toHaveLength(2)
  })
})

describe('a server that is not what is needed', () => {
  it('an alias that leads to something else is refused with what to do', async () => {
    server.collections.set('photos', {
      ...{ vectors: {}, sparseVectors: {}, hnswConfig: {}, payloadSchema: {}, points: new Map() },
    })
    server.aliases.set('agemem', 'photos')
    const detail = expect.stringMatching(/photos.*Remove the alias/)
    await expect(open().ensureReady()).rejects.toMatchObject({ ...misbehaved, detail })
  })

  it('a server that would ignore conditions on writes is refused', async () => {
    await server.stop()
    server = await startQdrantStandIn({ version: '1.15.5' })
    await expect(open().ensureReady()).rejects.toMatchObject({ ...misbehaved, detail: expect.stringContaining('1.16') })
    expect(server.collections.size).toBe(0)
  })

  it('a wrong key is refused, and the right one is sent', async () => {
    await server.stop()
    server = await startQdrantStandIn({ apiKey: 'right' })
    await expect(open({ apiKey: 'wrong' }).ensureReady()).rejects.toMatchObject(misbehaved)
    await open({ apiKey: 'right' }).ensureReady()
  })

  it('a page that is no Qdrant at all, a proxy that says so say, is unavailable until it is', async () => {
    const other = createServer((_, response) => response.end('<html>hello</html>')).listen(0, '127.0.0.1')
    await once(other, 'listening')
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    await expect(open({ url: `http://127.0.0.1:${port}` }).ensureReady()).rejects.toMatchObject(unavailable)
    other.closeAllConnections()
    other.close()
  })

  it('T2: what a lost filter lets through are ids and scores, never text; PostgreSQL is who withholds the rest', async () => {
    const index = await openFilled()
    server.faults.losesFilters = true
    const { dense, sparse } = await index.search('ten_other', 'spc_other', makeQuery())
    for (const hit of [...dense, ...sparse]) expect(Object.keys(hit).sort()).toEqual(['memoryId', 'score', 'source'])
    expect(dense.map(({ memoryId }) => memoryId)).toEqual([memoryIdAt(1), memoryIdAt(2)])
  })

  it('a lost write shows in the list, where the reconciler looks', async () => {
    const index = await openFilled()
    server.faults.losesWrites = true
    await index.upsert(...space, [makePoint(3)])
    expect(await index.list(...space, { afterMemoryId: null, limit: 10 })).toHaveLength(2)
  })
})

describe('answers of a wrong shape', () => {
  const point = { id: 'x', version: 0, score: 0.5, payload: { memory_id: 'mem_1', revision: 1 } }
  const withPoints = (...points: unknown[]) => ({ result: [{ points }, { points: [] }] })
  const inSearch = (answer: unknown) => (_: unknown, path: string) =>
    path.endsWith('/query/batch') ? answer : undefined

  it.each<[string, unknown]>([
    ['a text', { result: 'x' }],
    ['null', { result: null }],
    ['no result', { status: 'ok' }],
    ['a number', 7],
    ['a list', [1]],
    ['one answer too few', { result: [{ points: [] }] }],
    ['points that are none', withPoints(null)],
    ['points of a wrong type', { result: [{ points: {} }, { points: [] }] }],
    ['a point without payload', withPoints({ ...point, payload: null })],
    ['a point without id', withPoints({ ...point, payload: {} })],
    ['an id of a wrong type', withPoints({ ...point, payload: { memory_id: 7 } })],
    ['a score that is a text', withPoints({ ...point, score: '0.5' })],
    ['a score that is null, as NaN and Infinity are in JSON', withPoints({ ...point, score: null })],
    ['a point twice', withPoints(point, point)],
    [
      'more points than were asked for',
      withPoints(...Array.from({ length: 500 }, (_, at) => ({ ...point, payload: { memory_id: `mem_${at}` } }))),
    ],
  ])('A5: of a search: %s is a failure of the index, which the breaker counts', async (_, answer) => {
    const index = await openFilled()
    server.faults.distort = inSearch(answer)
    for (let call = 0; call < 3; call += 1)
      await expect(index.search(...space, makeQuery())).rejects.toMatchObject(unavailable)
    const asked = server.requests.length
    await expect(index.search(...space, makeQuery())).rejects.toMatchObject(unavailable)
    expect(server.requests.length).toBe(asked)
  })

  it.each<[string, unknown]>([
    ['a text', { result: 'x' }],
    ['points without revision', { result: { points: [{ ...point, payload: { memory_id: 'mem_1' } }] } }],
    ['points of a wrong type', { result: { points: 'x' } }],
    ['a point twice', { result: { points: [point, point] } }],
  ])('A5: of a list: %s is not a shorter list', async (_, answer) => {
    const index = await openFilled()
    server.faults.distort = (_answer, path) => (path.endsWith('/scroll') ? answer : undefined)
    await expect(index.list(...space, { afterMemoryId: null, limit: 10 })).rejects.toMatchObject(unavailable)
  })

  it.each<[string, unknown]>([
    ['a text', { result: 'x' }],
    ['true', { result: true }],
    ['a write that is only noted', { result: { operation_id: 1, status: 'acknowledged' } }],
  ])('M1: of a write: %s does not confirm it', async (_, answer) => {
    const index = await openFilled()
    server.faults.distort = (_answer, path) => (/points(\/delete)?\?wait=true$/.test(path) ? answer : undefined)
    await expect(index.upsert(...space, [makePoint(3)])).rejects.toMatchObject(unavailable)
    await expect(index.remove(...space, [memoryIdAt(1)])).rejects.toMatchObject(unavailable)
  })

  it.each<[string, string, unknown]>([
    ['no aliases', '/aliases', { result: {} }],
    ['aliases of a wrong type', '/aliases', { result: { aliases: 'x' } }],
    ['aliases without names', '/aliases', { result: { aliases: [{}] } }],
    ['no layout', '/collections/agemem-1', { result: {} }],
    ['a layout of a wrong type', '/collections/agemem-1', { result: { status: 'green', config: { params: 'x' } } }],
    ['null in place of a layout', '/collections/agemem-1', { result: null, status: 'ok' }],
  ])('M5: what cannot be read is never taken for "there is no index": %s', async (_, path, answer) => {
    const index = await openFilled()
    server.faults.distort = (_answer, asked) => (asked === path ? answer : undefined)
    const fresh = open()
    await expect(fresh.rebuilding?.findServing()).rejects.toMatchObject(unavailable)
    await expect(fresh.ensureReady()).rejects.toMatchObject(unavailable)
    expect(await fresh.checkHealth()).toMatchObject({ ready: false })
    server.faults.distort = null
    expect((await index.search(...space, makeQuery())).dense).toHaveLength(2)
    expect(server.collections.size).toBe(1)
  })

  it("M5: a proxy's 404 is not Qdrant saying that a collection is missing", async () => {
    await openFilled()
    server.faults.instead = (response, path) => {
      if (path !== '/collections/agemem-1') return false
      response.writeHead(404, { 'content-type': 'text/html' }).end('<html>not found</html>')
      return true
    }
    const fresh = open()
    await expect(fresh.rebuilding?.findServing()).rejects.toMatchObject(unavailable)
    await expect(fresh.ensureReady()).rejects.toMatchObject(unavailable)
    expect(server.requests.map(({ method }) => method)).not.toContain('PUT')
  })

  it.each<[string, unknown]>([
    ['no count', { result: {} }],
    ['a count of a wrong type', { result: { count: '2' } }],
    ['a negative count', { result: { count: -1 } }],
  ])('M7: of a count: %s does not make an erasure done', async (_, answer) => {
    const index = await openFilled()
    server.faults.distort = (_answer, path) => (path.endsWith('/count') ? answer : undefined)
    await expect(index.removeSpace(...space)).rejects.toMatchObject(unavailable)
  })

  it('M7: a list of collections without the one that serves does not make an erasure done', async () => {
    const index = await openFilled()
    server.faults.distort = (_answer, path) => (path === '/collections' ? { result: { collections: [] } } : undefined)
    await expect(index.removeSpace(...space)).rejects.toMatchObject(unavailable)
  })
})

describe('answers that do not end', () => {
  const packed = gzipSync(JSON.stringify({ result: [{ points: [] }, { points: [] }] }))
  it.each<[string, (response: ServerResponse) => void]>([
    ['one without end', (response) => sendEndless(response, { head: '{"result":[', piece: '{"points":[]},' })],
    ['one that is packed', (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(packed)],
    ['one that trickles', (response) => sendTrickle(response)],
    ['headers that never come', () => {}],
    ['a redirect', (response) => response.writeHead(307, { location: `${server.url}/elsewhere` }).end()],
  ])('A5: %s is a failure of the index within its deadline', async (_, send) => {
    const index = await openFilled({ timeoutMs: 1_000, apiKey: 'secret' })
    server.faults.instead = (response, path) => {
      if (!path.endsWith('/query/batch')) return false
      send(response)
      return true
    }
    await expect(index.search(...space, makeQuery())).rejects.toMatchObject({
      code: expect.stringMatching(/^vector_index\./),
    })
    expect(server.requests.map(({ path }) => path)).not.toContain('/elsewhere')
  })
})
