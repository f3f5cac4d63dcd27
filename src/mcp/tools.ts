/** The six tools as MCP has them. A tool that fails answers with its problem, which a model can act on. */
import { type CallToolRequest, type CallToolResult, ErrorCode, type Tool } from '@modelcontextprotocol/sdk/types.js'
import { toAppError } from '../http/http-errors.ts'
import { invalidArguments } from '../modules/tool/tool.errors.ts'
import { toToolAnswerBody } from '../modules/tool/tool-body.ts'
import { findToolKey, toolNames } from '../modules/tool/tool-definitions.ts'
import { formatTools } from '../modules/tool/tool-formats.ts'
import { clientIdPattern } from '../shared/ids.ts'
import { type BoundSession, isUnbound, openBoundSession } from './binding.ts'
import type { McpCall } from './call.ts'
import { problemData, rpcError } from './errors.ts'

const sessionIdSchema = {
  type: 'string',
  pattern: clientIdPattern,
  description: 'The session whose memory and context the call is about. Ask for it; never make one up.',
}

type ObjectSchema = { readonly properties?: object; readonly required?: readonly string[] }

const withSessionId = ({ properties, required = [], ...schema }: ObjectSchema) => ({
  ...schema,
  properties: { session_id: sessionIdSchema, ...properties },
  required: ['session_id', ...required],
})

export const listTools = ({ binding }: Pick<McpCall, 'binding'>): Tool[] =>
  formatTools('mcp').map(({ inputSchema, ...tool }) => ({
    ...tool,
    // A tool's parameters are an object's schema by their definition.
    inputSchema: (isUnbound(binding) ? withSessionId(inputSchema) : inputSchema) as Tool['inputSchema'],
  }))

const resultOf = (body: Record<string, unknown>): CallToolResult => ({
  content: [{ type: 'text', text: JSON.stringify(body) }],
  structuredContent: body,
})

const readSessionId = (sessionId: unknown): string => {
  if (typeof sessionId === 'string' && new RegExp(clientIdPattern).test(sessionId)) return sessionId
  const detail = `${sessionId === undefined ? 'is missing: it' : ''} must be the id of a session of this service`.trim()
  throw invalidArguments([{ pointer: '/session_id', detail }])
}

type Opened = BoundSession & { readonly args: unknown }

const openSession = async ({ caller, binding, door }: McpCall, args: unknown): Promise<Opened> => {
  const bound = await openBoundSession(door.sessions, caller, binding)
  if (bound !== null) return { ...bound, args }
  const { session_id: sessionId, ...rest } = (args ?? {}) as { session_id?: unknown }
  return { sessionId: readSessionId(sessionId), recall: { form: 'pair' }, args: rest }
}

/** @throws Error of JSON-RPC for a tool that there is not */
export const callTool = async (call: McpCall, { name, arguments: given }: CallToolRequest['params']) => {
  const key = findToolKey(name)
  if (key === null) throw rpcError(ErrorCode.InvalidParams, `There is no such tool. There are ${toolNames.join(', ')}.`)
  try {
    const { args, ...session } = await openSession(call, given)
    const answer = await call.door.tools.call(call.caller, { ...session, key, args, door: 'mcp' })
    return resultOf(toToolAnswerBody(answer))
  } catch (thrown) {
    const error = toAppError(thrown)
    call.reportFailure(error)
    return { ...resultOf({ error: problemData(error) }), isError: true }
  }
}
