import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestApp, type TestApp } from '../support/app.ts'
import { openRaw, problemOf } from '../support/raw-socket.ts'

/** So that what is ended for being slow is ended within the test. */
const app = {
  slowClientMs: 300,
  clientBytesPerSecondMin: 1_048_576,
  headersTimeoutMs: 300,
  connectionsMax: 64,
  connectionsPerAddressMax: 8,
}

describe('A1: who has shown no key costs nothing that another needs', () => {
  let test: TestApp
  let key: string

  beforeAll(async () => {
    test = await createTestApp({ app })
    key = (await test.makeKey()).key
    await test.app.listen({ host: '127.0.0.1', port: 0 })
  })
  afterAll(() => test.close())

  const open = () => openRaw((test.app.server.address() as AddressInfo).port)

  const exchange = async (...parts: readonly (string | Buffer)[]) => {
    const connection = await open()
    for (const part of parts) connection.write(part)
    return connection.closed
  }

  const head = (line: string, ...headers: readonly string[]) => `${[line, 'Host: a', ...headers].join('\r\n')}\r\n\r\n`
  const bearer = (secret: string) => `Authorization: Bearer ${secret}`
  const json = 'Content-Type: application/json'
  const endless = 'Content-Length: 4194304'

  it.each([
    ['a path that there is not', 'POST /nothing HTTP/1.1', [endless], 404, 'request.route_not_found'],
    ['a path in absolute form', 'POST http://a/nothing HTTP/1.1', [endless], 404, 'request.route_not_found'],
    ['a method that is not taken', 'PUT /v1/agents HTTP/1.1', [endless], 405, 'request.method_not_allowed'],
    ['no key', 'POST /v1/agents/a/memories HTTP/1.1', [json, endless], 401, 'auth.invalid_key'],
    ['no key, in chunks', 'POST /v1/keys HTTP/1.1', [json, 'Transfer-Encoding: chunked'], 401, 'auth.invalid_key'],
    ['no key, by MCP', 'POST /mcp HTTP/1.1', [json, endless], 401, 'auth.invalid_key'],
    ['no key, by chat', 'POST /v1/chat/completions HTTP/1.1', [json, endless], 401, 'auth.invalid_key'],
    ['no key, to an import', 'POST /v1/agents/a/memories/import HTTP/1.1', [endless], 401, 'auth.invalid_key'],
    ['a wrong key', 'POST /v1/keys HTTP/1.1', [bearer(`agm_${'A'.repeat(64)}`), endless], 401, 'auth.invalid_key'],
    ['no key, to the operator', 'POST /v1/admin/tenants HTTP/1.1', [json, endless], 401, 'auth.invalid_key'],
    ['an upgrade', 'GET /v1/agents HTTP/1.1', ['Connection: Upgrade', 'Upgrade: websocket'], 401, 'auth.invalid_key'],
    ['a body of a GET', 'GET /v1/agents HTTP/1.1', [endless], 401, 'auth.invalid_key'],
  ] as const)(
    '%s is answered before the body comes, and the connection closed',
    async (_, line, headers, status, code) => {
      const { answer, isReset } = await exchange(head(line, ...headers), '1')
      expect([problemOf(answer).status, problemOf(answer).code, isReset]).toEqual([status, code, false])
      expect(problemOf(answer).head).toMatch(/\r\nconnection: close/i)
      expect(test.life.inFlight()).toBe(0)
    },
  )

  it('nobody is asked for a body that is not wanted, and who may send one is', async () => {
    const expecting = ['Expect: 100-continue', json, 'Content-Length: 15']
    const refused = await exchange(head('POST /v1/agents/a/memories HTTP/1.1', ...expecting))
    expect(problemOf(refused.answer).status).toBe(401)
    const connection = await open()
    connection.write(head('POST /v1/agents/a/memories HTTP/1.1', bearer(key), 'Connection: close', ...expecting))
    await expect.poll(connection.received).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    connection.write('{"content":"a"}')
    expect((await connection.closed).answer).toContain('HTTP/1.1 201 Created')
  })

  it('a 413 and a 401 arrive at a client that is still sending', async () => {
    const large = Buffer.alloc(6 * 1024 * 1024, 'x')
    const sending = [`Content-Length: ${large.length}`, json]
    for (const [headers, status] of [
      [[bearer(key), ...sending], 413],
      [sending, 401],
    ] as const) {
      const { answer, isReset } = await exchange(head('POST /v1/agents/a/memories HTTP/1.1', ...headers), large)
      expect([problemOf(answer).status, isReset]).toEqual([status, false])
    }
  })

  it('a body in chunks is bounded as one with a length', async () => {
    const chunk = `100000\r\n${'x'.repeat(0x100000)}\r\n`
    const chunked = ['Transfer-Encoding: chunked', json, bearer(key)]
    const { answer } = await exchange(head('POST /v1/agents/a/memories HTTP/1.1', ...chunked), chunk.repeat(5))
    expect(problemOf(answer)).toMatchObject({ status: 413, code: 'request.too_large' })
  })

  it('a body that stops coming ends with 408, and gives its place back', async () => {
    for (const framing of ['Content-Length: 100', 'Transfer-Encoding: chunked']) {
      const { answer } = await exchange(
        head('POST /v1/agents/a/memories HTTP/1.1', bearer(key), json, framing),
        '1\r\n{\r\n',
      )
      expect(problemOf(answer)).toMatchObject({ status: 408, code: 'request.too_slow' })
    }
    await expect.poll(test.life.inFlight).toBe(0)
  })

  it('an import whose client stands still keeps what has come, and says how far that is', async () => {
    const headers = [bearer(key), 'Content-Type: application/x-ndjson', 'Transfer-Encoding: chunked']
    const line = '{"content":"kept"}\n'
    const request = head('POST /v1/agents/slow/memories/import HTTP/1.1', ...headers)
    const { answer } = await exchange(request, `${line.length.toString(16)}\r\n${line}\r\n`)
    expect(problemOf(answer).code).toBe('memory.import_broke_off')
    expect(answer).toContain('The lines up to 1 are dealt with, and 1 memories of them are stored.')
    expect((await test.request(key, { url: '/v1/agents/slow' })).data.memory_count).toBe(1)
  })

  it.each([
    ['sends nothing', ''],
    ['never ends its headers', 'GET /health/live HTTP/1.1\r\nHost: a\r\nX: '],
  ])('a connection that %s is closed', async (_, beginning) => {
    const { answer } = await exchange(beginning)
    expect(problemOf(answer)).toMatchObject({ status: 408, code: 'request.timeout' })
  })

  it('however many connections an address opens, the next one is answered, and one with a good key stays', async () => {
    const known = await open()
    known.write(head('GET /v1/agents HTTP/1.1', bearer(key)))
    await expect.poll(known.received).toContain('HTTP/1.1 200 OK')
    const silent = await Promise.all(Array.from({ length: 40 }, open))
    const { answer } = await exchange(head('GET /health/live HTTP/1.1', 'Connection: close'))
    expect(answer).toContain('{"status":"alive"}')
    await expect.poll(() => silent.filter(({ socket }) => !socket.destroyed).length).toBeLessThanOrEqual(8)
    known.write(head('GET /v1/agents HTTP/1.1', bearer(key), 'Connection: close'))
    expect((await known.closed).answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2)
    for (const { socket } of silent) socket.destroy()
  })

  it('answers that nobody reads are ended', async () => {
    const accepted = once(test.app.server, 'connection')
    const connection = await open()
    const [ours] = (await accepted) as [Socket]
    connection.socket.pause()
    // More than the system holds for a reader.
    connection.write(head('GET /openapi.json HTTP/1.1').repeat(100))
    await expect.poll(() => ours.destroyed).toBe(true)
    connection.socket.destroy()
  })

  it('requests that were sent one behind another give their places back when their client leaves', async () => {
    const connection = await open()
    connection.write(head('GET /v1/agents HTTP/1.1', bearer(key)).repeat(40))
    await expect.poll(test.life.inFlight).toBeGreaterThan(1)
    connection.socket.destroy()
    await expect.poll(test.life.inFlight).toBe(0)
  })

  it('requests that follow each other unasked end with the first that is refused', async () => {
    const { answer } = await exchange(head('POST /nothing HTTP/1.1', 'Content-Length: 0').repeat(50))
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1)
  })
})
