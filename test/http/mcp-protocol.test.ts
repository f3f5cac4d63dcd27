import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { untilAborted } from '../../src/shared/until-aborted.ts'
import { createFakeEmbedder } from '../support/fake-embedder.ts'
import { createHttp } from '../support/http.ts'
import { type McpTest, startMcpTest } from '../support/mcp.ts'

const ping = { jsonrpc: '2.0', id: 1, method: 'ping' }

describe('the protocol of MCP over HTTP', () => {
  let mcp: McpTest
  let key: string

  beforeAll(async () => {
    mcp = await startMcpTest()
    key = (await mcp.test.makeKey()).key
  })
  afterAll(() => mcp.close())

  const answerOf = async (body: unknown, headers: Record<string, string> = {}) => {
    const answer = await mcp.send(key, body, { headers })
    return { status: answer.status, type: answer.headers.get('content-type'), body: (await answer.json()) as object }
  }

  it('answers one message with one JSON object, under no session of its own', async () => {
    const answer = await mcp.send(key, ping)
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
    expect(answer.headers.get('mcp-session-id')).toBeNull()
    expect(answer.headers.get('x-request-id')).toMatch(/^req_/)
    expect(await answer.json()).toEqual({ jsonrpc: '2.0', id: 1, result: {} })
  })

  it('takes a notification with 202 and no body', async () => {
    const answer = await mcp.send(key, { jsonrpc: '2.0', method: 'notifications/initialized' })
    expect([answer.status, await answer.text()]).toEqual([202, ''])
  })

  it.each(['2025-11-25', '2025-06-18', '2025-03-26'])('speaks %s', async (protocolVersion) => {
    const params = { protocolVersion, capabilities: {}, clientInfo: { name: 'test', version: '1' } }
    const { body } = await answerOf({ jsonrpc: '2.0', id: 'a', method: 'initialize', params })
    expect(body).toMatchObject({ id: 'a', result: { protocolVersion } })
    expect((await answerOf(ping, { 'mcp-protocol-version': protocolVersion })).status).toBe(200)
  })

  it('refuses a version that it does not speak', async () => {
    const { status, body } = await answerOf(ping, { 'mcp-protocol-version': '1999-01-01' })
    expect([status, body]).toEqual([400, { jsonrpc: '2.0', id: null, error: expect.any(Object) }])
  })

  it('refuses GET and DELETE, since there is no stream to open and no session to end', async () => {
    for (const method of ['GET', 'DELETE']) {
      const answer = await mcp.send(key, null, { method })
      expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST'])
      expect(await answer.json()).toMatchObject({ code: 'mcp.method_not_allowed' })
    }
  })

  it('an unknown method is an error of the protocol', async () => {
    const { status, body } = await answerOf({ ...ping, method: 'memories/steal' })
    expect([status, body]).toEqual([
      200,
      { jsonrpc: '2.0', id: 1, error: { code: -32_601, message: 'Method not found' } },
    ])
  })

  it('parameters of another form are an error of the protocol', async () => {
    for (const message of [
      { ...ping, method: 'tools/call', params: { name: 5 } },
      { ...ping, method: 'tools/call', params: { name: 'Add_memory', arguments: 'x' } },
      { ...ping, method: 'resources/read', params: {} },
    ]) {
      const { status, body } = await answerOf(message)
      expect([status, body]).toEqual([200, { jsonrpc: '2.0', id: 1, error: expect.any(Object) }])
    }
  })

  it.each([
    ['no version', { id: 1, method: 'ping' }],
    ['another version', { ...ping, jsonrpc: '1.0' }],
    ['a method that is no text', { ...ping, method: { toString: 1 } }],
    ['an id that is an object', { ...ping, id: {} }],
    ['nothing', {}],
    ['no object', '"ping"'],
    ['null', 'null'],
  ])('refuses a message with %s', async (_, message) => {
    const { status, type, body } = await answerOf(message)
    expect([status, body]).toEqual([400, { jsonrpc: '2.0', id: null, error: expect.any(Object) }])
    expect(type).toMatch(/^application\/json/)
  })

  it.each([
    ['a batch', [ping, { ...ping, id: 2 }]],
    ['a batch of one', [ping]],
    ['an empty batch', []],
  ])('refuses %s: a request is one call under every limit', async (_, batch) => {
    const { status, body } = await answerOf(batch)
    expect(status).toBe(400)
    expect(body).toMatchObject({ jsonrpc: '2.0', id: null, error: { code: -32_600, data: { code: 'mcp.batch' } } })
  })

  it.each([
    ['JSON that cannot be read', '{"jsonrpc":', {}, 400, 'request.malformed_json'],
    ['text that cannot be stored', { ...ping, params: { a: '\u0000' } }, {}, 400, 'request.unsafe_text'],
    [
      'another type',
      'a=b',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      'request.unsupported_media_type',
    ],
    ['5 MiB', { ...ping, params: { a: 'x'.repeat(5 * 1024 * 1024) } }, {}, 413, 'request.too_large'],
  ])('refuses a body of %s as everywhere', async (_, payload, headers, status, code) => {
    const answer = await answerOf(payload, headers)
    expect(answer.type).toMatch(/^application\/problem\+json/)
    expect([answer.status, answer.body]).toEqual([status, expect.objectContaining({ code })])
  })

  it('a client that does not take JSON and events is told so', async () => {
    expect((await answerOf(ping, { accept: 'text/html' })).status).toBe(406)
  })

  it('a call that outlasts its deadline is answered, and the next one is served', async () => {
    const embedder = createFakeEmbedder()
    const never = new Promise<readonly Float32Array[]>(() => {})
    const embed: typeof embedder.embed = (_texts, _purpose, options) => untilAborted(never, options?.signal)
    const slow = await startMcpTest({ app: { requestTimeoutMs: 2_000 }, embedder: { ...embedder, embed } })
    const { key: own } = await slow.test.makeKey()
    const call = { name: 'Filter_context', arguments: { criteria: 'lunch' } }
    const http = createHttp(slow.test, own)
    const messages = ['lunch plans', 'What now?'].map((content) => ({ role: 'user', content }))
    await http.post('/v1/sessions', { agent_id: 'a', session_id: 's', messages })
    const client = await slow.connect(own, { 'AgeMem-Session': 's' })
    const answer = await client.callTool(call)
    expect(answer).toMatchObject({ isError: true, structuredContent: { error: { code: 'request.deadline' } } })
    expect(await client.ping()).toEqual({})
    await slow.close()
  })
})
