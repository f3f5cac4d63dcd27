import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { Writable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import type { InjectOptions } from 'fastify'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, createTestApp, type TestApp } from '../support/app.ts'

const json = { 'content-type': 'application/json' }

/** A problem document as RFC 9457 and api.md want it. */
const expectProblem = (answer: Pick<Answer, 'statusCode' | 'headers' | 'data'>, status: number, code: string): void => {
  expect([answer.statusCode, answer.data.code]).toEqual([status, code])
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
  expect(answer.data).toMatchObject({ type: `docs/errors.md#${code.replace('.', '')}`, status })
  expect(answer.data.title).toEqual(expect.any(String))
  expect(answer.data.detail).toMatch(/\.$/)
  expect(answer.data.request_id).toBe(answer.headers['x-request-id'])
}

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
    expectProblem(await test.request(key, { method: 'PUT', url: '/v1/agents' }), 404, 'request.route_not_found')
    const posted = { method: 'POST', url: '/nothing', payload: 'a=b', headers: { 'content-type': 'text/x' } } as const
    expectProblem(await test.request(null, posted), 404, 'request.route_not_found')
    const misspelt = { method: 'POST', url: '/v1/sessions/s/tools/Add_memory', payload: { content: 'x' } } as const
    expectProblem(await test.request(key, misspelt), 404, 'request.route_not_found')
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
    const depth = 1_000_000
    expectProblem(await add(`${'['.repeat(depth)}${']'.repeat(depth)}`), 400, 'request.unsafe_text')
    expectProblem(await add('{"a":'.repeat(depth / 2)), 400, 'request.malformed_json')
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

describe('limits', () => {
  it('on wrong keys hold for an address, and do not count missing keys or good ones', async () => {
    const test = await createTestApp({ app: { authFailuresPerMinute: 3 } })
    try {
      const { key } = await test.makeKey()
      const status = async (given: string | null) => (await test.request(given, { url: '/v1/usage' })).statusCode
      for (let i = 0; i < 5; i += 1) expect([await status(null), await status(key)]).toEqual([401, 200])
      const wrong = `${key.slice(0, -2)}AA`
      expect([await status(wrong), await status(wrong), await status('agmop_x'), await status(wrong)]).toEqual([
        401, 401, 401, 429,
      ])
      expect(await status(null)).toBe(401)
    } finally {
      await test.close()
    }
  })

  it('on the rate of a tenant leave other tenants alone', async () => {
    const test = await createTestApp()
    try {
      const { key: slow } = await test.makeKey({ quotas: { requestsPerSecond: 2 } })
      const { key: other } = await test.makeKey()
      const burst = await Promise.all(Array.from({ length: 12 }, () => test.request(slow, { url: '/v1/usage' })))
      const refused = burst.filter(({ statusCode }) => statusCode === 429)
      expect(refused.length).toBeGreaterThan(5)
      expectProblem(refused[0] as Answer, 429, 'quota.requests_per_second')
      expect(refused[0]?.headers['retry-after']).toBe('1')
      expect((await test.request(other, { url: '/v1/usage' })).statusCode).toBe(200)
    } finally {
      await test.close()
    }
  })

  it('the key of metrics reads the metrics, as the operator does, and nothing else', async () => {
    const metricsKey = 'scraper-0123456789'
    const test = await createTestApp({ app: { metricsKey } })
    try {
      const { key } = await test.makeKey()
      const metrics = async (given: string | null) => test.request(given, { url: '/metrics' })
      expect((await metrics(null)).statusCode).toBe(401)
      expect((await metrics(key)).statusCode).toBe(403)
      expect((await metrics(test.operatorKey)).statusCode).toBe(200)
      await test.request(key, { url: '/v1/usage' })
      const shown = await metrics(metricsKey)
      expect(shown.payload).toMatch(/agemem_request_seconds_count\{operation="getUsage",status="2xx"\} 1/)
      expect(shown.payload).not.toMatch(/ten_|key_|tenant/)
      expect((await test.request(metricsKey, { url: '/v1/admin/tenants' })).statusCode).toBe(401)
    } finally {
      await test.close()
    }
  })

  it('on which tenant and content are: T1, no log line holds content, a query, a key or another header', async () => {
    const lines: string[] = []
    const sink = new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk))
        done()
      },
    })
    const test = await createTestApp({ app: { logger: pino({ level: 'trace' }, sink) } })
    try {
      const { key } = await test.makeKey()
      const headers = { 'x-secret': 'peanut' }
      await test.request(key, { method: 'POST', url: '/v1/agents/a/memories', payload: { content: 'peanut' }, headers })
      await test.request(key, { url: '/v1/agents/a/memories?memory_type=peanut' })
      await test.request(key, {
        method: 'POST',
        url: '/v1/agents/a/memories',
        payload: '{"content":"peanut',
        headers: json,
      })
      await test.request('peanut', { url: '/v1/agents/peanut/memories' })
      expect(lines.filter((line) => line.includes('"status":')).length).toBeGreaterThanOrEqual(4)
      for (const line of lines) {
        expect(line).not.toContain('peanut')
        expect(line).not.toContain(key)
      }
    } finally {
      await test.close()
    }
  })
})

describe('on a real socket', () => {
  let test: TestApp
  let key: string

  beforeAll(async () => {
    test = await createTestApp()
    key = (await test.makeKey()).key
    await test.app.listen({ host: '127.0.0.1', port: 0 })
  })
  afterAll(() => test.close())

  const port = () => (test.app.server.address() as AddressInfo).port

  /** Everything that comes back until the service closes the connection. */
  const exchange = async (raw: string): Promise<string> => {
    const socket = connect(port(), '127.0.0.1')
    socket.write(raw)
    return Buffer.concat(await socket.toArray()).toString()
  }

  const readProblem = (answer: string) => {
    const [head = '', body = ''] = answer.split('\r\n\r\n')
    expect(head).toContain('application/problem+json')
    return { status: Number(head.split(' ')[1]), ...JSON.parse(body) }
  }

  it.each([
    ['no HTTP at all', 'hello\r\n\r\n'],
    ['two lengths that differ', 'POST /v1/keys HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
    [
      'a length and chunks',
      'POST /v1/keys HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    ],
  ])('%s gets a problem and a closed connection', async (_, raw) => {
    expect(readProblem(await exchange(raw))).toMatchObject({ status: 400, code: 'request.malformed_http' })
  })

  it('a request without a host, and CONNECT, get a problem; an unknown expectation is passed over', async () => {
    const without = await exchange('GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n')
    expect(readProblem(without)).toMatchObject({ status: 400, code: 'request.malformed_http' })
    const connected = await exchange('CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(readProblem(connected)).toMatchObject({ status: 404, code: 'request.route_not_found' })
    const expecting = await exchange('GET /health/live HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nConnection: close\r\n\r\n')
    expect(expecting).toContain('HTTP/1.1 200 OK')
  })

  it('HTTP/1.0, HEAD, OPTIONS and methods that no route takes get what they should', async () => {
    expect(await exchange('GET /health/live HTTP/1.0\r\n\r\n')).toContain('{"status":"alive"}')
    const closing = `Host: a\r\nAuthorization: Bearer ${key}\r\nConnection: close\r\n\r\n`
    expect(await exchange(`HEAD /v1/agents HTTP/1.1\r\n${closing}`)).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*\r\n\r\n$/)
    for (const method of ['OPTIONS', 'TRACE', 'PROPFIND', 'LINK', 'M-SEARCH'])
      expect(readProblem(await exchange(`${method} /v1/agents HTTP/1.1\r\n${closing}`))).toMatchObject({
        status: 404,
        code: 'request.route_not_found',
      })
    for (const method of ['FOO', 'get'])
      expect(readProblem(await exchange(`${method} /v1/agents HTTP/1.1\r\n${closing}`))).toMatchObject({
        status: 400,
        code: 'request.malformed_http',
      })
  })

  it('headers without end get a problem', async () => {
    const answer = await exchange(`GET /health/live HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`)
    expect(readProblem(answer)).toMatchObject({ status: 431, code: 'request.headers_too_large' })
  })

  it('a body that is announced too large is refused before it is read', async () => {
    const head = `POST /v1/keys HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\n`
    const answer = await exchange(`${head}Content-Length: 5242880\r\nConnection: close\r\n\r\n{`)
    expect(readProblem(answer)).toMatchObject({ status: 413, code: 'request.too_large' })
  })

  it('an import under way finishes while the service drains; new work is sent elsewhere, and readiness says so', async () => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/x-ndjson' }
    const path = '/v1/agents/drained/memories/import'
    const importing = httpRequest({ host: '127.0.0.1', port: port(), method: 'POST', path, headers, agent: false })
    importing.write('{"content":"before"}\n')
    await expect.poll(test.life.inFlight).toBe(1)
    test.life.startDraining()
    expectProblem(await test.request(key, { url: '/v1/agents' }), 503, 'server.draining')
    const ready = await test.request(null, { url: '/health/ready' })
    expect([ready.statusCode, ready.data.status]).toEqual([503, 'unavailable'])
    expect((await test.request(null, { url: '/health/live' })).statusCode).toBe(200)
    importing.end('{"content":"after"}\n')
    const [response] = (await once(importing, 'response')) as [IncomingMessage]
    const body = JSON.parse(Buffer.concat(await response.toArray()).toString())
    expect([response.statusCode, body.created]).toEqual([200, 2])
  })
})
