import { gzipSync } from 'node:zlib'
import type { InjectOptions } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestApp, type TestApp } from '../support/app.ts'
import { expectProblem } from '../support/http.ts'

const json = { 'content-type': 'application/json' }

describe('what the edge takes and refuses', () => {
  let test: TestApp
  let key: string

  beforeAll(async () => {
    test = await createTestApp()
    key = (await test.makeKey()).key
  })
  afterAll(() => test.close())

  const add = (payload: InjectOptions['payload'], headers: Record<string, string> = json) =>
    test.request(key, { method: 'POST', url: '/v1/agents/a/memories', payload: payload ?? '', headers })

  it('answers an unknown path with a problem, with and without a key', async () => {
    expectProblem(await test.request(null, { url: '/v1/nothing' }), 404, 'request.route_not_found')
    const posted = { method: 'POST', url: '/nothing', payload: 'a=b', headers: { 'content-type': 'text/x' } } as const
    expectProblem(await test.request(null, posted), 404, 'request.route_not_found')
    const withoutBase = { method: 'POST', url: '/chat/completions', payload: { model: 'agemem' } } as const
    expectProblem(await test.request(key, withoutBase), 404, 'request.route_not_found')
    const misspelt = { method: 'POST', url: '/v1/sessions/s/tools/Add_memory', payload: { content: 'x' } } as const
    expectProblem(await test.request(key, misspelt), 404, 'request.route_not_found')
  })

  it('answers a method that a known path does not take with those that it takes, and OPTIONS with them alone', async () => {
    const allowed = new Map([
      ['/v1/agents', 'GET, HEAD, OPTIONS'],
      ['/v1/agents/a/memories/mem_1', 'DELETE, GET, HEAD, OPTIONS, PATCH'],
      ['/v1/sessions/s/tools/add_memory?x=1', 'OPTIONS, POST'],
      ['/health/live', 'GET, HEAD, OPTIONS'],
      ['/mcp', 'DELETE, GET, HEAD, OPTIONS, POST'],
    ])
    for (const [url, methods] of allowed)
      for (const given of [null, key]) {
        const answer = await test.request(given, { method: 'PUT', url, payload: { a: 1 } })
        expectProblem(answer, 405, 'request.method_not_allowed')
        expect(answer.headers.allow).toBe(methods)
        const options = await test.request(given, { method: 'OPTIONS', url })
        expect([options.statusCode, options.headers.allow]).toEqual([204, methods])
      }
  })

  it('refuses a body that is compressed, and takes one that says it is not', async () => {
    const memory = '{"content":"as it is"}'
    for (const encoding of ['gzip', 'br', 'gzip, identity'])
      expectProblem(await add(memory, { ...json, 'content-encoding': encoding }), 415, 'request.unsupported_media_type')
    const imported = { method: 'POST', url: '/v1/agents/a/memories/import', payload: gzipSync(memory) } as const
    const headers = { 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' }
    expectProblem(await test.request(key, { ...imported, headers }), 415, 'request.unsupported_media_type')
    expect((await add(memory, { ...json, 'content-encoding': 'identity' })).statusCode).toBe(201)
  })

  it('says of a choice what may be chosen, once', async () => {
    const search = (payload: object) =>
      test.request(key, { method: 'POST', url: '/v1/agents/a/memories/search', payload })
    const detail = 'must be "hybrid" or "semantic" or "keyword"'
    expect((await search({ query: 'x', mode: 'best' })).data.errors).toEqual([{ pointer: '/mode', detail }])
    expect((await add('{"content":"x","ttl_seconds":0}')).data.errors).toEqual([
      { pointer: '/ttl_seconds', detail: 'must be >= 1 or null' },
    ])
    const batch = { memories: [{ content: 'x', ttl_seconds: 0 }] }
    const answer = await test.request(key, { method: 'POST', url: '/v1/agents/a/memories/batch', payload: batch })
    expect(answer.json().results[0].problem.errors).toEqual([
      { pointer: '/ttl_seconds', detail: 'must be >= 1 or null' },
    ])
  })

  it('answers a path that is no URL with a problem', async () => {
    expectProblem(await test.request(key, { url: '/v1/agents/%ff' }), 400, 'request.malformed')
    expectProblem(await test.request(key, { url: `/v1/agents/${'a'.repeat(2_000)}` }), 400, 'request.malformed')
  })

  it('takes an agent id of 128 characters, percent-encoded or not', async () => {
    const id = `a${'@:'.repeat(63)}b`
    const memory = {
      method: 'POST',
      url: `/v1/agents/${encodeURIComponent(id)}/memories`,
      payload: { content: 'x' },
    } as const
    expect((await test.request(key, memory)).statusCode).toBe(201)
    expect((await test.request(key, { url: `/v1/agents/${id}` })).data.agent_id).toBe(id)
  })

  it.each([
    ['not JSON', '{"content":'],
    ['no value', ' '],
    ['not UTF-8', Buffer.from('{"content":"caf\xe9"}', 'latin1')],
  ])('refuses a body that is %s', async (_, payload) => {
    expectProblem(await add(payload), 400, 'request.malformed_json')
  })

  it.each([
    ['NUL', '{"content":"a\\u0000b"}', '/content'],
    ['half a surrogate pair', '{"content":"\\ud800"}', '/content'],
    ['__proto__', '{"content":"a","metadata":{"__proto__":{"x":1}}}', '/metadata'],
    ['a number that is infinite', '{"content":"a","metadata":{"far":-1e400}}', '/metadata/far'],
    ['constructor.prototype', '{"content":"a","metadata":{"constructor":{"prototype":{}}}}', '/metadata'],
  ])('refuses %s and says where', async (_, payload, pointer) => {
    const answer = await add(payload)
    expectProblem(answer, 400, 'request.unsafe_text')
    expect(answer.data.errors).toMatchObject([{ pointer }])
  })

  it('refuses nesting without end, whatever its kind', async () => {
    const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
    expectProblem(await add(nested(40_000)), 400, 'request.unsafe_text')
    expectProblem(await add('{"a":'.repeat(40_000)), 400, 'request.malformed_json')
    expectProblem(await add(nested(1_000_000)), 413, 'request.too_large')
    expectProblem(await add('{"a":'.repeat(500_000)), 413, 'request.too_large')
  })

  it('refuses an unknown field and says which', async () => {
    const answer = await add({ content: 'a', contnet: 'b' })
    expectProblem(answer, 400, 'request.invalid')
    expect(answer.data.errors).toEqual([{ pointer: '/contnet', detail: 'is not known here' }])
  })

  it('says which field is missing, or of another type: nothing is turned into what it is not', async () => {
    expect((await add({ metadata: {} })).data.errors).toEqual([{ pointer: '/content', detail: 'is missing' }])
    expect((await add({ content: 5 })).data.errors).toEqual([{ pointer: '/content', detail: 'must be string' }])
    expectProblem(await add({ content: 'a', ttl_seconds: '60' }), 400, 'request.invalid')
    expectProblem(await add(''), 400, 'request.invalid')
  })

  it('refuses unknown and malformed query parameters, and text that cannot be stored in one', async () => {
    const list = (query: string) => test.request(key, { url: `/v1/agents?${query}` })
    for (const query of ['limit=0', 'limit=201', 'limit=ten', 'limit=1&limit=2', 'limt=1', 'limit='])
      expectProblem(await list(query), 400, 'request.invalid')
    expectProblem(await list('cursor=%00'), 400, 'request.unsafe_text')
    expectProblem(await list('cursor=e30'), 400, 'request.invalid_cursor')
    expect((await list('limit=200')).statusCode).toBe(200)
  })

  it('refuses a body of 5 MiB', async () => {
    expectProblem(await add({ content: 'x'.repeat(5 * 1024 * 1024) }), 413, 'request.too_large')
  })

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/x-ndjson',
    'application/json; charset=utf-16',
    'nonsense',
  ])('refuses a body sent as %s where JSON is wanted', async (type) => {
    expectProblem(await add('{"content":"a"}', { 'content-type': type }), 415, 'request.unsupported_media_type')
  })

  it('takes JSON with its charset named', async () => {
    expect((await add('{"content":"é"}', { 'content-type': 'Application/JSON; charset="UTF-8"' })).statusCode).toBe(201)
  })

  it('refuses JSON where NDJSON is wanted', async () => {
    const answer = await test.request(key, {
      method: 'POST',
      url: '/v1/agents/a/memories/import',
      payload: { content: 'a' },
    })
    expectProblem(answer, 415, 'request.unsupported_media_type')
  })

  it('refuses a body where there is none to send, and takes an empty one', async () => {
    await test.request(key, { method: 'POST', url: '/v1/sessions', payload: { agent_id: 'a', session_id: 'empty' } })
    const close = (payload: string) =>
      test.request(key, { method: 'POST', url: '/v1/sessions/empty/close', payload, headers: json })
    expectProblem(await close('{"force":true}'), 400, 'request.unexpected_body')
    expect((await close('')).statusCode).toBe(200)
  })

  it('keeps a request id that is safe to repeat, and makes one otherwise', async () => {
    const idOf = async (given: string) =>
      (await test.request(null, { url: '/health/live', headers: { 'x-request-id': given } })).headers['x-request-id']
    expect(await idOf('trace-42')).toBe('trace-42')
    for (const given of ['a b', 'x'.repeat(65), '<script>', '']) expect(await idOf(given)).toMatch(/^req_[0-9a-f]{32}$/)
  })

  it('refuses an Idempotency-Key that is empty, too long or not visible ASCII', async () => {
    for (const given of ['', ' ', 'a b', 'x'.repeat(256), 'é'])
      expectProblem(
        await add({ content: 'a' }, { ...json, 'idempotency-key': given }),
        400,
        'request.invalid_idempotency_key',
      )
  })

  it('M2: a retry with the same key has one effect and one answer; another body is a 422', async () => {
    const send = (content: string) => add({ content }, { ...json, 'idempotency-key': 'once' })
    const first = await send('told once')
    const again = await send('told once')
    expect([again.statusCode, again.data]).toEqual([201, first.data])
    expectProblem(await send('told twice'), 422, 'idempotency.key_reused')
    const reordered = '{"metadata":{"b":1,"a":2},"content":"order"}'
    const ordered = '{"content":"order","metadata":{"a":2,"b":1}}'
    const [one, other] = [
      await add(reordered, { ...json, 'idempotency-key': 'order' }),
      await add(ordered, { ...json, 'idempotency-key': 'order' }),
    ]
    expect(other.data).toEqual(one.data)
  })

  it('tells a missing key how to send one', async () => {
    const answer = await test.request(null, { url: '/v1/agents' })
    expectProblem(answer, 401, 'auth.invalid_key')
    expect(answer.headers['www-authenticate']).toBe('Bearer')
    const { statusCode } = await test.app.inject({ url: '/v1/agents', headers: { authorization: key } })
    expect(statusCode).toBe(401)
  })

  it('shows the reference with nothing from elsewhere', async () => {
    const page = await test.request(null, { url: '/docs' })
    expect(page.statusCode).toBe(200)
    expect(page.headers['content-security-policy']).toContain("default-src 'self'")
    expect(page.headers['content-security-policy']).not.toMatch(/https?:|upgrade-insecure/)
    expect(page.payload).not.toMatch(/(src|href)="https?:/)
    for (const [, source] of page.payload.matchAll(/<script src="([^"]+)"/g))
      expect((await test.request(null, { url: source ?? '' })).statusCode).toBe(200)
    const document = await test.request(null, { url: '/docs/json' })
    expect(document.json().info.title).toBe('AgeMem')
  })

  it('lets a browser load nothing for an answer, and allows no other origin', async () => {
    const { headers } = await test.request(key, { url: '/v1/agents', headers: { origin: 'https://example.org' } })
    expect(headers['content-security-policy']).toContain("default-src 'none'")
    expect(headers['access-control-allow-origin']).toBeUndefined()
    expect(headers['x-content-type-options']).toBe('nosniff')
  })
})
