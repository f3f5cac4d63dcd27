import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestApp, type TestApp } from '../support/app.ts'
import { expectProblem } from '../support/http.ts'

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
    expect(await exchange(`OPTIONS /v1/agents HTTP/1.1\r\n${closing}`)).toMatch(
      /^HTTP\/1\.1 204 [\s\S]*\r\nallow: GET, HEAD/i,
    )
    for (const method of ['TRACE', 'PUT', 'PROPFIND', 'LINK', 'M-SEARCH'])
      expect(readProblem(await exchange(`${method} /v1/agents HTTP/1.1\r\n${closing}`))).toMatchObject({
        status: 405,
        code: 'request.method_not_allowed',
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
