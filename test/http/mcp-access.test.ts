import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createHttp, expectStatus, type Http } from '../support/http.ts'
import { callTool, connectTo, type McpTest, problemCodeOf, startMcpTest } from '../support/mcp.ts'

const initialize = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
}
const request = (method: string, params: object = {}) => ({ jsonrpc: '2.0', id: 1, method, params })
const addMemory = request('tools/call', { name: 'Add_memory', arguments: { content: 'x' } })
const agent = { 'AgeMem-Agent': 'mine' }

describe('who may use MCP', () => {
  let mcp: McpTest
  let http: Http
  let key: string
  let tenantId: string

  beforeAll(async () => {
    mcp = await startMcpTest({ app: { mcpOrigins: 'https://app.example, https://other.example' } })
    const made = await mcp.test.makeKey()
    key = made.key
    tenantId = made.tenantId
    http = createHttp(mcp.test, key)
    expectStatus(await http.post('/v1/sessions', { agent_id: 'mine', session_id: 'mine' }), 201)
  })
  afterAll(() => mcp.close())

  const codeOf = async (answer: Response) => [answer.status, ((await answer.json()) as { code?: string }).code]
  const statuses = async (sent: string, bodies: readonly object[]) =>
    Promise.all(bodies.map(async (body) => (await mcp.send(sent, body, { headers: agent })).status))

  it('T5: every method of HTTP answers 401 without a key and with a wrong one', async () => {
    for (const wrong of [null, 'agm_wrong', `${key.slice(0, -4)}AAAA`])
      for (const method of ['POST', 'GET', 'DELETE']) {
        const answer = await mcp.send(wrong, method === 'POST' ? initialize : null, { method })
        expect(answer.headers.get('www-authenticate')).toBe('Bearer')
        expect(await codeOf(answer)).toEqual([401, 'auth.invalid_key'])
      }
    await expect(mcp.connect('agm_wrong')).rejects.toThrow(/auth.invalid_key/)
  })

  it('T5: a key with neither scope of the door gets 403, and so does the operator', async () => {
    const { key: reader } = await mcp.test.makeKey({ scopes: ['session:read', 'memory:write'] })
    expect(await codeOf(await mcp.send(reader, initialize))).toEqual([403, 'auth.scope_missing'])
    expect(await codeOf(await mcp.send(mcp.test.operatorKey, initialize))).toEqual([403, 'auth.tenant_needed'])
  })

  it('T5: tools need session:write, resources need memory:read, and each key sees the rest', async () => {
    const { key: writer } = await mcp.test.makeKey({ scopes: ['session:write'], tenantId })
    const { key: reader } = await mcp.test.makeKey({ scopes: ['memory:read'], tenantId })
    const free = [initialize, request('tools/list'), request('ping')]
    const reading = [
      request('resources/list'),
      request('resources/templates/list'),
      request('resources/read', { uri: 'agemem://agents/mine/memories/x' }),
    ]
    expect(await statuses(writer, [...free, addMemory])).toEqual([200, 200, 200, 200])
    expect(await statuses(writer, reading)).toEqual([403, 403, 403])
    expect(await statuses(reader, [...free, ...reading])).toEqual([200, 200, 200, 200, 200, 200])
    expect(await codeOf(await mcp.send(reader, addMemory, { headers: agent }))).toEqual([403, 'auth.scope_missing'])
    expect((await mcp.connect(writer)).getServerCapabilities()).toEqual({ tools: {} })
  })

  it('a key that is bound to agents reaches those and no other', async () => {
    const { key: bound } = await mcp.test.makeKey({ agentIds: ['bound'], tenantId })
    const client = await mcp.connect(bound, { 'AgeMem-Agent': 'bound' })
    expect(problemCodeOf(await callTool(client, 'Add_memory', { content: 'x' }))).toBeNull()
    expect(await codeOf(await mcp.send(bound, initialize, { headers: agent }))).toEqual([403, 'auth.agent_not_allowed'])
    const foreign = await mcp.connect(bound, { 'AgeMem-Session': 'mine' })
    expect(problemCodeOf(await callTool(foreign, 'Add_memory', { content: 'x' }))).toBe('session.not_found')
    await expect(foreign.listResources()).rejects.toMatchObject({ data: { code: 'session.not_found' } })
    const { memory_id } = (await http.post('/v1/agents/mine/memories', { content: 'secret' })).data
    const uri = `agemem://agents/mine/memories/${memory_id}`
    await expect(client.readResource({ uri })).rejects.toMatchObject({ data: { code: 'auth.agent_not_allowed' } })
  })

  it("T1: another tenant's session and memory are the same as missing ones", async () => {
    const { key: theirs } = await mcp.test.makeKey()
    const client = await mcp.connect(theirs, { 'AgeMem-Session': 'mine' })
    const missing = await mcp.connect(theirs, { 'AgeMem-Session': 'missing' })
    const [foreign, none] = await Promise.all(
      [client, missing].map((one) => callTool(one, 'Add_memory', { content: 'x' })),
    )
    expect(foreign?.structuredContent).toEqual(none?.structuredContent)
    expect(problemCodeOf(foreign ?? none ?? { content: [], structuredContent: {} })).toBe('session.not_found')
    const { memory_id } = (await http.post('/v1/agents/mine/memories', { content: 'secret of mine' })).data
    const refusals = [memory_id, `mem_${'0'.repeat(32)}`].map((id) =>
      client.readResource({ uri: `agemem://agents/mine/memories/${id}` }).catch((error) => error),
    )
    const [stranger, absent] = await Promise.all(refusals)
    expect(stranger).toMatchObject({ code: -32_002, data: { code: 'memory.not_found' } })
    expect([stranger.message, stranger.data]).toEqual([absent.message, absent.data])
    const own = await mcp.connect(theirs, agent)
    expect(await own.listResources()).toEqual({ resources: [] })
    expect((await http.get('/v1/sessions/mine')).data.agent_id).toBe('mine')
  })

  it.each([
    ['https://evil.example', 403],
    ['http://localhost.evil.example', 403],
    ['null', 403],
    ['http://app.example:8080', 403],
    ['https://app.example', 200],
    ['http://localhost:6274', 200],
    ['http://127.0.0.1:3000', 200],
    ['http://[::1]:3000', 200],
  ])('a web page of %s gets %i', async (origin, status) => {
    const answer = await mcp.send(key, initialize, { headers: { origin } })
    expect(answer.status).toBe(status)
    if (status === 403) expect(await codeOf(answer)).toEqual([403, 'mcp.origin_not_allowed'])
  })

  it('the rate of a tenant and the bound on requests hold', async () => {
    const { key: slow } = await mcp.test.makeKey({ quotas: { requestsPerSecond: 1 } })
    const answers = await Promise.all(Array.from({ length: 10 }, () => mcp.send(slow, request('ping'))))
    const refused = answers.filter(({ status }) => status === 429)
    expect(refused.length).toBeGreaterThan(0)
    expect(refused[0]?.headers.get('retry-after')).toMatch(/^\d+$/)
    const full = await startMcpTest({ app: { requestsInFlightMax: 0 } })
    const { key: own } = await full.test.makeKey()
    expect(await codeOf(await full.send(own, initialize))).toEqual([503, 'server.overloaded'])
    await full.close()
  })

  it('a client whose headers are of another form is refused at once', async () => {
    for (const headers of [{ 'AgeMem-Session': '-x' }, { 'AgeMem-Agent': 'a b' }]) {
      const answer = await mcp.send(key, initialize, { headers })
      const [[name]] = Object.entries(headers) as [[string, string]]
      expect(await answer.json()).toMatchObject({
        code: 'request.invalid',
        errors: [{ pointer: `/headers/${name.toLowerCase()}` }],
      })
      await expect(connectTo(mcp.url, { authorization: `Bearer ${key}`, ...headers })).rejects.toThrow()
    }
  })
})
