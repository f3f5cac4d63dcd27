import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { callTool, connectTo, type McpTest, problemCodeOf, startMcpTest } from '../support/mcp.ts'

type Server = { readonly type: string; readonly url: string; readonly headers: Readonly<Record<string, string>> }
type Config = { readonly mcpServers?: Record<string, Server>; readonly servers?: Record<string, Server> }

const textOf = (name: string): string => readFileSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), 'utf8')

const serversOf = (name: string): readonly Server[] =>
  [...textOf(name).matchAll(/^```json\n([\s\S]*?)^```$/gm)].flatMap(([, block]) => {
    const { mcpServers, servers }: Config = JSON.parse(block ?? '')
    return Object.values(mcpServers ?? servers ?? {})
  })

describe('the configurations of clients that the documents show', () => {
  let mcp: McpTest
  let key: string

  beforeAll(async () => {
    mcp = await startMcpTest()
    key = (await mcp.test.makeKey()).key
  })
  afterAll(() => mcp.close())

  it.each([
    ['README.md', 1],
    ['docs/mcp.md', 2],
  ])('those of %s are JSON, and what they say works', async (name, count) => {
    const servers = serversOf(name)
    expect(servers).toHaveLength(count)
    for (const { type, url, headers } of servers) {
      expect([type, new URL(url).pathname, Object.keys(headers)]).toEqual([
        'http',
        new URL(mcp.url).pathname,
        ['Authorization', 'AgeMem-Agent'],
      ])
      const filled = { ...headers, Authorization: headers.Authorization?.replace(/\$\{[^}]+\}/, key) ?? '' }
      const client = await connectTo(mcp.url, filled)
      expect(problemCodeOf(await callTool(client, 'Add_memory', { content: 'Ana lives in Porto' }))).toBeNull()
      expect((await client.listResources()).resources[0]?.title).toBe('Ana lives in Porto')
      await client.close()
    }
  })
})
