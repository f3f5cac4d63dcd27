import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { createTestApp, type TestApp } from '../support/app.ts'
import { anyVersion, codeOf, createHttp, expectStatus, type Http, once } from '../support/http.ts'

describe('operating the service over HTTP', () => {
  let test: TestApp
  let operator: Http
  let anybody: Http

  beforeAll(async () => {
    test = await createTestApp()
    operator = createHttp(test, test.operatorKey)
    anybody = createHttp(test, null)
  })
  afterAll(() => test.close())

  it('says whether it lives and is ready, to anybody', async () => {
    expect(expectStatus(await anybody.get('/health/live'), 200).data).toEqual({ status: 'alive' })
    const { data } = expectStatus(await anybody.get('/health/ready'), 200)
    expect(data).toEqual({ status: 'ready', parts: { database: { ready: true, detail: 'ready' } } })
    const told = expectStatus(await operator.get('/health/ready'), 200).data
    expect(told).toEqual({ status: 'ready', parts: { database: { ready: true, detail: 'ok' } } })
  })

  it('gives its reference to anybody, the same as JSON, as YAML and as committed', async () => {
    const json = expectStatus(await anybody.get('/openapi.json'), 200).json()
    const yaml = expectStatus(await anybody.get('/openapi.yaml'), 200)
    expect(json.openapi).toMatch(/^3\.1\./)
    expect(parse(yaml.payload)).toEqual(json)
    expect(await readFile('openapi.yaml', 'utf8')).toBe(yaml.payload)
    expectStatus(await anybody.get('/docs'), 200)
  })

  it('reports whether both stores agree, and writes the index again', async () => {
    const http = createHttp(test, (await test.makeKey()).key)
    for (const content of ['One', 'Two']) await http.post('/v1/agents/a/memories', { content })
    await test.modules.indexer.drain()
    expect(expectStatus(await operator.get('/v1/admin/consistency'), 200).data).toEqual({
      ...{ consistent: true, complete: true, rebuilding: false },
      agents_checked: 1,
      agents_behind: 0,
      agents_unreadable: 0,
      memories_checked: 2,
      missing_in_index: 0,
      outdated_in_index: 0,
      orphaned_in_index: 0,
      next_cursor: null,
    })
    expect(expectStatus(await operator.post('/v1/admin/reindex'), 202).data).toEqual({ agents: 1 })
    expect((await operator.get('/v1/admin/consistency')).data).toMatchObject({ complete: false, agents_checked: 0 })
    await test.modules.indexer.drain()
    expect((await operator.get('/v1/admin/consistency')).data).toMatchObject({ consistent: true, memories_checked: 2 })
  })

  it('usage has every count beside every quota', async () => {
    const http = createHttp(test, (await test.makeKey({ quotas: { memoriesMax: 5 } })).key)
    await http.post('/v1/agents/a/memories', { content: 'One' })
    expect(expectStatus(await http.get('/v1/usage'), 200).data).toEqual({
      agents: 1,
      sessions: 0,
      memories: 1,
      memory_tokens: expect.any(Number),
      stored_bytes: 3,
      bytes_by_kind: expect.objectContaining({ memories: 3, messages: 0, answers: 0 }),
      model_tokens_today: 0,
      quotas: { requests_per_second: null, memories: 5, stored_bytes: null, model_tokens_per_day: null },
    })
  })

  it.each([
    ['memories', { memoriesMax: 1 }],
    ['stored_bytes', { storedBytesMax: 10 }],
  ] as const)(
    'the quota of %s holds at every door, says when to come again, and stores nothing',
    async (quota, quotas) => {
      const http = createHttp(test, (await test.makeKey({ quotas })).key)
      await http.post('/v1/sessions', { agent_id: 'a', session_id: 's' })
      expectStatus(await http.post('/v1/agents/a/memories', { content: 'Ten bytes.' }), 201)
      const memory = { content: 'Too much' }
      const refused = await Promise.all([
        http.post('/v1/agents/a/memories', memory),
        http.post('/v1/agents/a/memories/batch', { memories: [memory] }),
        http.post('/v1/sessions/s/tools/add_memory', memory),
        http.post('/v1/agents/a/memories/import', JSON.stringify(memory), { 'content-type': 'application/x-ndjson' }),
      ])
      for (const answer of refused) {
        expect(codeOf(answer)).toEqual([429, `quota.${quota}`])
        expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
      }
      expect((await http.get('/v1/usage')).data.memories).toBe(1)
    },
  )

  it('the quota of stored bytes holds for memories that change, by every door, with the versions that are kept', async () => {
    const http = createHttp(test, (await test.makeKey({ quotas: { storedBytesMax: 60 } })).key)
    await http.post('/v1/sessions', { agent_id: 'a', session_id: 's' })
    const memory_id = String((await http.post('/v1/agents/a/memories', { content: 'x'.repeat(50) })).data.memory_id)
    const url = `/v1/agents/a/memories/${memory_id}`
    const content = 'x'.repeat(200)
    const refused = [
      await http.patch(url, { content }, anyVersion),
      await http.patch(url, { metadata: { note: content } }, anyVersion),
      await http.post('/v1/sessions/s/tools/update_memory', { memory_id, content }),
    ]
    expect(refused.map(codeOf)).toEqual(refused.map(() => [429, 'quota.stored_bytes']))
    expect((await http.get(url)).data.version).toBe(1)
    expectStatus(await http.patch(url, { content: 'short' }, anyVersion), 200)
    expect((await http.get('/v1/usage')).data.bytes_by_kind).toMatchObject({ memories: 5, memory_versions: 50 })
    expect(codeOf(await http.post(`${url}/revert`, { version: 1 }))).toEqual([429, 'quota.stored_bytes'])
    expectStatus(await http.delete(url, anyVersion), 204)
    expectStatus(await http.post('/v1/agents/a/memories', { content: 'y'.repeat(60) }), 201)
  })

  it('M2: an import that is sent again takes of the quota once, and one with other lines is another request', async () => {
    const http = createHttp(test, (await test.makeKey({ quotas: { memoriesMax: 3 } })).key)
    const send = (lines: readonly object[]) =>
      http.post('/v1/agents/a/memories/import', lines.map((line) => JSON.stringify(line)).join('\n'), {
        'content-type': 'application/x-ndjson',
        ...once('i'),
      })
    const lines = [{ content: 'One' }, { content: 'Two' }, { content: 'Three' }]
    const first = expectStatus(await send(lines), 200)
    expect(expectStatus(await send(lines), 200).data).toEqual(first.data)
    for (const other of [lines.slice(0, 2), [...lines, { content: 'Four' }], [...lines].reverse(), []])
      expect(codeOf(await send(other))).toEqual([422, 'idempotency.key_reused'])
    expect((await http.get('/v1/usage')).data.memories).toBe(3)
  })

  it.each(['0000-01-01T00:00:00Z', '9999-12-31T23:59:59-12:00'])('a key cannot expire at %s', async (expires_at) => {
    const http = createHttp(test, (await test.makeKey()).key)
    const answer = await http.post('/v1/keys', { name: 'k', scopes: ['usage:read'], expires_at })
    expect(codeOf(answer)).toEqual([422, 'request.invalid_moment'])
  })
})
