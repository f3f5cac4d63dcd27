import type { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { standingSessionIdOf } from '../../src/mcp/binding.ts'
import { sql } from '../../src/shared/sql.ts'
import { createHttp, expectStatus, type Http, idMatching } from '../support/http.ts'
import { callTool, type McpTest, problemCodeOf, startMcpTest, type ToolResult } from '../support/mcp.ts'

const toolNames = [
  'Add_memory',
  'Update_memory',
  'Delete_memory',
  'Retrieve_memory',
  'Summary_context',
  'Filter_context',
]

describe('tools over MCP', () => {
  let mcp: McpTest
  let http: Http
  let key: string
  let client: Client
  let session: string
  let count = 0

  beforeAll(async () => {
    mcp = await startMcpTest()
    key = (await mcp.test.makeKey()).key
    http = createHttp(mcp.test, key)
  })
  afterAll(() => mcp.close())
  beforeEach(async () => {
    count += 1
    session = `mcp-test-${count}`
    expectStatus(await http.post('/v1/sessions', { agent_id: `agent-${count}`, session_id: session }), 201)
    client = await mcp.connect(key, { 'AgeMem-Session': session })
  })

  const resultOf = async (name: string, args: Record<string, unknown>) => {
    const answer = await callTool(client, name, args)
    expect([answer.isError, answer.isError ? answer.content[0]?.text : '']).toEqual([undefined, ''])
    return answer.structuredContent.result ?? {}
  }
  const say = (...contents: readonly string[]) =>
    http.post(`/v1/sessions/${session}/messages`, {
      messages: contents.map((content) => ({ role: 'user', content })),
    })

  it('initialize names the server and offers tools and resources', () => {
    expect(client.getServerVersion()).toMatchObject({ name: 'agemem' })
    expect(client.getServerCapabilities()).toEqual({ tools: {}, resources: {} })
    expect(client.getInstructions()).toContain('Retrieve_memory')
  })

  it('lists the six tools as GET /v1/tools?format=mcp does, annotations too', async () => {
    const { tools } = await client.listTools()
    expect(tools).toEqual((await http.get('/v1/tools?format=mcp')).json().tools)
    expect(tools.map(({ name }) => name)).toEqual(toolNames)
    expect(tools[2]?.annotations).toMatchObject({ destructiveHint: true, readOnlyHint: false })
  })

  it('each of the six tools does what it does over REST', async () => {
    const added = await resultOf('Add_memory', { content: 'Ana lives in Porto', metadata: { city: 'Porto' } })
    expect(added).toEqual({ memory_id: idMatching('mem'), version: 1 })
    const { memory_id } = added
    expect(await resultOf('Update_memory', { memory_id, content: 'Ana lives in Lisbon' })).toEqual({
      memory_id,
      version: 2,
    })
    expect(await resultOf('Retrieve_memory', { query: 'Where does Ana live?' })).toEqual({
      memories: [
        {
          memory_id,
          version: 2,
          content: 'Ana lives in Lisbon',
          metadata: { city: 'Porto' },
          score: expect.any(Number),
        },
      ],
      already_in_context: [],
      message_id: idMatching('msg'),
    })
    const long = 'Rain falls on the hills behind the harbour of Porto. '.repeat(30)
    await say(long, long, 'lunch plans', 'What now?')
    expect(await resultOf('Filter_context', { criteria: 'lunch plans' })).toMatchObject({
      removed: [{ message_id: idMatching('msg') }],
    })
    expect(await resultOf('Summary_context', { span: 'all' })).toMatchObject({
      edit_id: idMatching('edt'),
      written_by: 'extractive',
    })
    expect(await resultOf('Delete_memory', { memory_id, confirmation: true })).toEqual({ memory_id, deleted: true })
    expect((await http.get(`/v1/agents/agent-${count}/memories/${memory_id}`)).statusCode).toBe(404)
  })

  it('answers with the step and the measure of the context, and records the step with its door', async () => {
    const { structuredContent } = await callTool(client, 'Add_memory', { content: 'x' })
    expect(structuredContent).toEqual({
      tool: 'add_memory',
      step_id: idMatching('stp'),
      result: expect.any(Object),
      context: { version: 0, tokens: 0, budget_tokens: 8_192, pressure: 0 },
      degraded: [],
    })
    const { tenantId } = (await mcp.test.modules.keys.authenticate(key)) ?? { tenantId: '' }
    const doors = await mcp.test.modules.database.transact(tenantId, (tx) =>
      tx.query<{ door: string }>(sql`
        select door from step where tenant_id = ${tenantId} and session_id = ${session}
      `),
    )
    expect(doors).toEqual([{ door: 'mcp' }])
  })

  it('a memory that the context shows already is told in full, since the client reads the answer alone', async () => {
    await resultOf('Add_memory', { content: 'Ana lives in Porto' })
    const first = await resultOf('Retrieve_memory', { query: 'Ana' })
    const second = await resultOf('Retrieve_memory', { query: 'Ana' })
    expect(second.memories).toEqual(first.memories)
    expect(second).toMatchObject({ already_in_context: [idMatching('mem')], message_id: null })
  })

  it.each([
    ['an argument that is missing', 'Add_memory', {}, 'tool.invalid_arguments', '/content'],
    [
      'an argument that it does not take',
      'Add_memory',
      { content: 'x', session_id: 'y' },
      'tool.invalid_arguments',
      '/session_id',
    ],
    ['no confirmation', 'Delete_memory', { memory_id: 'mem_1' }, 'tool.invalid_arguments', '/confirmation'],
    [
      'a memory that is not there',
      'Update_memory',
      { memory_id: `mem_${'0'.repeat(32)}`, content: 'x' },
      'memory.not_found',
      null,
    ],
    ['nothing to do', 'Summary_context', { span: 'all' }, 'context.nothing_to_summarize', null],
  ])('a tool that fails for %s says so as its result', async (_, name, args, code, pointer) => {
    const answer = await callTool(client, name, args)
    expect(problemCodeOf(answer)).toBe(code)
    expect(answer.structuredContent.error).toMatchObject({
      detail: expect.stringMatching(/\.$/),
      status: expect.any(Number),
    })
    if (pointer !== null) expect(answer.structuredContent.error?.errors).toMatchObject([{ pointer }])
  })

  it('a closed session refuses writes as over REST', async () => {
    await http.post(`/v1/sessions/${session}/close`)
    expect(problemCodeOf(await callTool(client, 'Add_memory', { content: 'x' }))).toBe('session.closed')
  })

  it('a tool is found by its route name too, and an unknown one is an error of the protocol', async () => {
    expect(problemCodeOf(await callTool(client, 'add_memory', { content: 'x' }))).toBeNull()
    await expect(client.callTool({ name: 'Fly', arguments: {} })).rejects.toMatchObject({ code: -32_602 })
  })

  it('without a header each call names its session, and the tools say so', async () => {
    const unbound = await mcp.connect(key)
    for (const { inputSchema } of (await unbound.listTools()).tools) {
      expect(inputSchema.required?.[0]).toBe('session_id')
      expect(inputSchema.properties).toHaveProperty('session_id')
    }
    expect(problemCodeOf(await callTool(unbound, 'Add_memory', { session_id: session, content: 'Ana' }))).toBeNull()
    expect((await http.get(`/v1/agents/agent-${count}/memories`)).json().data).toMatchObject([{ content: 'Ana' }])
    for (const session_id of [undefined, 5, '-x', 'a b']) {
      const refused = await callTool(unbound, 'Add_memory', { session_id, content: 'x' })
      expect(refused.structuredContent.error).toMatchObject({
        code: 'tool.invalid_arguments',
        errors: [{ pointer: '/session_id' }],
      })
    }
    const missing = await callTool(unbound, 'Add_memory', { session_id: 'no-such', content: 'x' })
    expect(problemCodeOf(missing)).toBe('session.not_found')
  })

  it('two clients in parallel reach each their own session', async () => {
    const others = await Promise.all([1, 2].map((n) => mcp.connect(key, { 'AgeMem-Agent': `parallel-${count}-${n}` })))
    const contents = ['first', 'second']
    await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        others.map((other, n) => callTool(other, 'Add_memory', { content: `${contents[n]} ${i}` })),
      ).flat(),
    )
    for (const [n, content] of contents.entries()) {
      const { data } = (await http.get(`/v1/agents/parallel-${count}-${n + 1}/memories`)).json()
      expect(data).toHaveLength(10)
      for (const memory of data) expect(memory.content).toMatch(new RegExp(`^${content} `))
    }
  })

  describe('with AgeMem-Agent alone', () => {
    it('an agent has one standing session, made by its first call, whose context RETRIEVE leaves as it is', async () => {
      const agent = `standing-${count}`
      const standing = await mcp.connect(key, { 'AgeMem-Agent': agent })
      expect((await standing.listTools()).tools[0]?.inputSchema.properties).not.toHaveProperty('session_id')
      expect((await http.get(`/v1/sessions/mcp-${agent}`)).statusCode).toBe(404)
      await Promise.all([1, 2, 3].map((n) => callTool(standing, 'Add_memory', { content: `Fact ${n}` })))
      for (let turn = 0; turn < 2; turn += 1) {
        const { result } = (await callTool(standing, 'Retrieve_memory', { query: 'Fact' })).structuredContent
        expect(result?.memories).toHaveLength(3)
      }
      const found = (await http.get(`/v1/sessions/mcp-${agent}`)).json()
      expect(found).toMatchObject({ agent_id: agent, status: 'open', context: { version: 0, tokens: 0 } })
      const { data } = (await http.get(`/v1/sessions?agent_id=${agent}`)).json()
      expect(data).toHaveLength(1)
    })

    it('an Idempotency-Key makes the first call safe to send again', async () => {
      const agent = `repeated-${count}`
      const call = {
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'Add_memory', arguments: { content: 'Once' } },
      }
      const headers = { 'AgeMem-Agent': agent, 'Idempotency-Key': `key-${count}` }
      const [first, second] = [await mcp.send(key, call, { headers }), await mcp.send(key, call, { headers })]
      expect(await second.json()).toEqual(await first.json())
      expect((await http.get(`/v1/agents/${agent}/memories`)).json().data).toHaveLength(1)
    })

    it('an Idempotency-Key is for one binding: under another it is refused, and nothing is replayed', async () => {
      const call = {
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'Add_memory', arguments: { content: 'x' } },
      }
      const codes = await Promise.all(
        [{ 'AgeMem-Agent': `first-${count}` }, { 'AgeMem-Agent': `other-${count}` }, { 'AgeMem-Session': session }].map(
          async (headers) => {
            const answer = await mcp.send(key, call, { headers: { ...headers, 'Idempotency-Key': `bound-${count}` } })
            return problemCodeOf(((await answer.json()) as { result: ToolResult }).result)
          },
        ),
      )
      expect(codes.filter((code) => code === null)).toHaveLength(1)
      for (const code of codes) expect([null, 'idempotency.key_reused', 'idempotency.in_flight']).toContain(code)
    })

    it('takes an agent id of any length', async () => {
      const agent = `a${'b'.repeat(127)}`
      expect(standingSessionIdOf(agent)).toMatch(/^mcp-[0-9a-f]{64}$/)
      const standing = await mcp.connect(key, { 'AgeMem-Agent': agent })
      expect(problemCodeOf(await callTool(standing, 'Add_memory', { content: 'x' }))).toBeNull()
    })

    it("refuses a session that is another agent's", async () => {
      const [agent, headers] = [`taken-${count}`, { 'AgeMem-Agent': `taken-${count}` }]
      await http.post('/v1/sessions', { agent_id: 'somebody', session_id: `mcp-${agent}` })
      for (const both of [headers, { ...headers, 'AgeMem-Session': session }]) {
        const answer = await callTool(await mcp.connect(key, both), 'Add_memory', { content: 'x' })
        expect(problemCodeOf(answer)).toBe('mcp.session_of_another_agent')
      }
    })
  })
})
