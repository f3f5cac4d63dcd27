/**
 * The door of the Model Context Protocol: streamable HTTP, one JSON answer to one message. Keys, scopes, limits and
 * deadlines are those of every route; what the protocol does not see (a wrong key, a body too large) is a problem
 * document. A message that needs a scope is refused before the protocol reads it.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { logFailure } from '../http/describe-error.ts'
import { scopeMissing } from '../http/http-errors.ts'
import { type App, callerOf, tenantAccess } from '../http/route.ts'
import { ensureAgentAllowed } from '../modules/agent/agent-access.ts'
import { type Scope, withBoundClaim } from '../shared/caller.ts'
import { clientIdPattern } from '../shared/ids.ts'
import { isJsonObject } from '../shared/json-limits.ts'
import { type BindingHeaders, bindingOf } from './binding.ts'
import type { McpCall, McpDoor } from './call.ts'
import { batchNotAllowed, methodNotAllowed, originNotAllowed, rpcRefusal } from './errors.ts'
import type { OriginCheck } from './origin.ts'
import { answerMessage } from './server.ts'

export type McpRoutesDependencies = { readonly door: McpDoor; readonly isOriginAllowed: OriginCheck }

const access = tenantAccess('session:write', 'memory:read')

/** What each method needs; the others need a live key with either of the door's scopes. */
const scopeByMethod: ReadonlyMap<unknown, Scope> = new Map<unknown, Scope>([
  ['tools/call', 'session:write'],
  ['resources/list', 'memory:read'],
  ['resources/read', 'memory:read'],
  ['resources/templates/list', 'memory:read'],
])

const optionalId = (description: string) => Type.Optional(Type.String({ pattern: clientIdPattern, description }))

const bindingHeaders = Type.Object({
  'agemem-session': optionalId('The session that calls are about.'),
  'agemem-agent': optionalId('The agent whose standing session calls are about.'),
})

const callOf = (request: FastifyRequest, door: McpDoor): McpCall => {
  const binding = bindingOf(request.headers as BindingHeaders)
  return {
    caller: withBoundClaim(callerOf(request), binding),
    binding,
    door,
    reportFailure: (error) => logFailure(request.log, error),
  }
}

const ensureMayAsk = ({ caller, binding }: McpCall, body: unknown): void => {
  const scope = isJsonObject(body) ? scopeByMethod.get(body.method) : undefined
  if (scope !== undefined && !caller.scopes.includes(scope)) throw scopeMissing(scope)
  if (binding.agentId !== null) ensureAgentAllowed(caller, binding.agentId)
}

const send = async (reply: FastifyReply, answer: Response): Promise<FastifyReply> => {
  const type = answer.headers.get('content-type')
  if (type !== null) void reply.type(type)
  return reply.code(answer.status).send(await answer.text())
}

export const registerMcpRoutes = (app: App, { door, isOriginAllowed }: McpRoutesDependencies): void => {
  const onRequest = async ({ headers }: FastifyRequest) => {
    if (!isOriginAllowed(headers.origin)) throw originNotAllowed()
  }

  app.route({
    method: 'POST',
    url: '/mcp',
    config: { access },
    onRequest,
    schema: { hide: true, headers: bindingHeaders, body: Type.Unknown() },
    handler: async (request, reply) => {
      const { body, headers } = request
      if (Array.isArray(body)) return reply.code(400).send(rpcRefusal(batchNotAllowed()))
      const call = callOf(request, door)
      ensureMayAsk(call, body)
      const { accept, 'content-type': type, 'mcp-protocol-version': version } = headers as Record<string, string>
      const message = { body, headers: { accept, 'content-type': type, 'mcp-protocol-version': version } }
      return send(reply, await answerMessage(call, message))
    },
  })

  app.route({
    method: ['GET', 'DELETE'],
    url: '/mcp',
    config: { access },
    onRequest,
    schema: { hide: true },
    handler: async (_request, reply) => {
      void reply.header('Allow', 'POST')
      throw methodNotAllowed()
    },
  })
}
