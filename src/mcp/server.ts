/**
 * A server of the protocol for one request. It holds no state, so any process can answer any message of a client; what
 * the SDK's transport is given is the message alone, never the key.
 */
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import {
  CallToolRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  ReadResourceRequestSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/ajv'
import { toAppError } from '../http/http-errors.ts'
import type { McpCall } from './call.ts'
import { rpcErrorOf } from './errors.ts'
import { listResources, readResource, resourceTemplates } from './resources.ts'
import { callTool, listTools } from './tools.ts'

const serverInfo = { name: 'agemem', title: 'AgeMem', version: '1' }

const instructions = [
  'Long-term memory that outlasts this conversation.',
  'Call Retrieve_memory before answering from earlier conversations, and Add_memory when you learn something that will matter later.',
  'Summary_context and Filter_context work on the conversation that the memory service keeps for the session, not on yours.',
].join(' ')

/** Made once: a server makes its own otherwise, and each is costly. */
const jsonSchemaValidator = new AjvJsonSchemaValidator()

const inProtocol = async <T>({ reportFailure }: McpCall, operation: Promise<T>): Promise<T> => {
  try {
    return await operation
  } catch (thrown) {
    const error = toAppError(thrown)
    reportFailure(error)
    throw rpcErrorOf(error)
  }
}

/** Resources are offered to a key that may read memories, so that no client asks for what it is refused. */
const createServer = (call: McpCall): Server => {
  const readsMemories = call.caller.scopes.includes('memory:read')
  const capabilities = { tools: {}, ...(readsMemories ? { resources: {} } : {}) }
  // The SDK's higher-level server takes schemas of its own kind; the tools' are JSON Schema already.
  const server = new Server(serverInfo, { capabilities, instructions, jsonSchemaValidator })
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: listTools(call) }))
  server.setRequestHandler(CallToolRequestSchema, ({ params }) => callTool(call, params))
  if (!readsMemories) return server
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({ resourceTemplates }))
  server.setRequestHandler(ListResourcesRequestSchema, ({ params }) =>
    inProtocol(call, listResources(call, params?.cursor)),
  )
  server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => inProtocol(call, readResource(call, params.uri)))
  return server
}

/** Headers of HTTP that the protocol itself reads. */
export type McpMessage = {
  readonly body: unknown
  readonly headers: Readonly<Record<'accept' | 'content-type' | 'mcp-protocol-version', string | undefined>>
}

const requestOf = ({ headers }: McpMessage): Request =>
  new Request('http://localhost/mcp', {
    method: 'POST',
    headers: Object.entries(headers).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, value]],
    ),
  })

/** The answer to one message, as JSON; empty with 202 for a notification. */
export const answerMessage = async (call: McpCall, message: McpMessage): Promise<Response> => {
  const server = createServer(call)
  const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true })
  await server.connect(transport as Transport)
  try {
    return await transport.handleRequest(requestOf(message), { parsedBody: message.body })
  } finally {
    await server.close()
  }
}
