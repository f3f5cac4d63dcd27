import type { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createHttp, expectStatus, type Http, moment } from '../support/http.ts'
import { type McpTest, startMcpTest } from '../support/mcp.ts'

const agent = 'bot:user@home'

describe('memories as resources of MCP', () => {
  let mcp: McpTest
  let http: Http
  let key: string
  let client: Client

  beforeAll(async () => {
    mcp = await startMcpTest()
    key = (await mcp.test.makeKey()).key
    http = createHttp(mcp.test, key)
    client = await mcp.connect(key, { 'AgeMem-Agent': agent })
    const memories = Array.from({ length: 60 }, (_, i) => ({ content: `Fact ${i} ${'🦊'.repeat(100)}` }))
    const added = await http.post(`/v1/agents/${encodeURIComponent(agent)}/memories/batch`, { memories })
    expectStatus(added, 200)
  })
  afterAll(() => mcp.close())

  const listAll = async (reader: Client) => {
    const pages = [await reader.listResources()]
    for (let cursor = pages[0]?.nextCursor; cursor !== undefined; cursor = pages.at(-1)?.nextCursor)
      pages.push(await reader.listResources({ cursor }))
    return pages.map(({ resources }) => resources)
  }

  it('the template says how a memory is called', async () => {
    const { resourceTemplates } = await client.listResourceTemplates()
    expect(resourceTemplates).toMatchObject([
      { uriTemplate: 'agemem://agents/{agent_id}/memories/{memory_id}', mimeType: 'application/json' },
    ])
  })

  it("lists the agent's memories page by page, the newest first, each once", async () => {
    const pages = await listAll(client)
    expect(pages.map((page) => page.length)).toEqual([50, 10])
    const resources = pages.flat()
    expect(new Set(resources.map(({ uri }) => uri)).size).toBe(60)
    expect(resources[0]).toMatchObject({
      uri: expect.stringMatching(/^agemem:\/\/agents\/bot%3Auser%40home\/memories\/mem_[0-9a-f]{32}$/),
      title: expect.stringMatching(/^Fact \d+ 🦊+…$/u),
      mimeType: 'application/json',
      annotations: { lastModified: moment },
    })
  })

  it('the agent of a session is the one that is listed; without an agent the list is empty', async () => {
    await http.post('/v1/sessions', { agent_id: agent, session_id: 's' })
    const bySession = await mcp.connect(key, { 'AgeMem-Session': 's' })
    expect((await bySession.listResources()).resources).toHaveLength(50)
    expect(await (await mcp.connect(key)).listResources()).toEqual({ resources: [] })
  })

  it('reads each as the memory that REST gives, by any spelling of its URI', async () => {
    const uri = (await client.listResources()).resources[0]?.uri ?? ''
    const memoryId = uri.split('/').at(-1)
    const memory = (await http.get(`/v1/agents/${encodeURIComponent(agent)}/memories/${memoryId}`)).json()
    for (const spelling of [uri, `agemem://agents/${agent}/memories/${memoryId}`]) {
      const { contents } = await client.readResource({ uri: spelling })
      expect(contents).toEqual([{ uri: spelling, mimeType: 'application/json', text: expect.any(String) }])
      const told = JSON.parse((contents[0] as { text: string }).text)
      expect({ ...told, index_state: '' }).toEqual({ ...memory, index_state: '' })
    }
  })

  it.each([
    `agemem://agents/${agent}/memories/mem_${'0'.repeat(32)}`,
    'agemem://agents/nobody/memories/mem_1',
    'agemem://agents/%ff/memories/mem_1',
    'agemem://agents/a/memories',
    'agemem://agents/../memories/x',
    'file:///etc/passwd',
    '',
  ])('%j is not found', async (uri) => {
    await expect(client.readResource({ uri })).rejects.toMatchObject({
      code: -32_002,
      data: { code: 'memory.not_found', status: 404 },
    })
  })

  it('refuses a cursor that is none of its own', async () => {
    await expect(client.listResources({ cursor: 'made up' })).rejects.toMatchObject({
      code: -32_602,
      data: { code: 'request.invalid_cursor' },
    })
  })
})
