/** Clients of the official SDK against a listening app. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { createTestApp, type TestApp, type TestAppOverrides } from './app.ts'

type Headers = Readonly<Record<string, string>>

export type McpTest = {
  readonly test: TestApp
  readonly url: string
  /** A client that has been through initialize. */
  connect(key: string | null, headers?: Headers): Promise<Client>
  /** One raw request; a body that is no text is sent as JSON. */
  send(key: string | null, body: unknown, options?: { headers?: Headers; method?: string }): Promise<Response>
  close(): Promise<void>
}

const accept = 'application/json, text/event-stream'

const authorizationOf = (key: string | null): Headers => (key === null ? {} : { authorization: `Bearer ${key}` })

export const connectTo = async (url: string, headers: Headers): Promise<Client> => {
  const client = new Client({ name: 'test', version: '1' })
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } })
  await client.connect(transport as Transport)
  return client
}

export const startMcpTest = async (overrides: TestAppOverrides = {}): Promise<McpTest> => {
  const test = await createTestApp(overrides)
  const url = `${await test.app.listen({ host: '127.0.0.1', port: 0 })}/mcp`
  const clients: Client[] = []
  return {
    test,
    url,
    connect: async (key, headers = {}) => {
      const client = await connectTo(url, { ...authorizationOf(key), ...headers })
      clients.push(client)
      return client
    },
    send: (key, body, { headers = {}, method = 'POST' } = {}) =>
      fetch(url, {
        method,
        headers: { ...authorizationOf(key), accept, 'content-type': 'application/json', ...headers },
        ...(body === null ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      }),
    close: async () => {
      for (const client of clients) await client.close()
      await test.close()
    },
  }
}

export type ToolResult = {
  readonly isError?: boolean
  readonly content: readonly { readonly type: string; readonly text: string }[]
  readonly structuredContent: Readonly<Record<string, Record<string, unknown>>>
}

/** Calls a tool; its text and its structured content say the same. */
export const callTool = async (client: Client, name: string, args: Record<string, unknown>): Promise<ToolResult> => {
  const result = (await client.callTool({ name, arguments: args })) as unknown as ToolResult
  const told: unknown = JSON.parse(result.content[0]?.text ?? '')
  if (JSON.stringify(told) !== JSON.stringify(result.structuredContent)) throw new Error('The two contents differ.')
  return result
}

export const problemCodeOf = ({ isError, structuredContent }: ToolResult): unknown =>
  isError === true ? structuredContent.error?.code : null
