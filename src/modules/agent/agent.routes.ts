import { type Static, Type } from 'typebox'
import { type App, callerOf, tenantAccess } from '../../http/route.ts'
import {
  bodyProblems,
  pageComponent,
  pageQuerySchema,
  pageRequestOf,
  problems,
  toPageBody,
  withHeaders,
} from '../../http/route-schemas.ts'
import { clientIdPattern, idPattern } from '../../shared/ids.ts'
import { ensureMetadata } from '../../shared/metadata.ts'
import { refTo } from '../../shared/schema.ts'
import { type AgentChangeBody, agentComponents } from './agent.schemas.ts'
import type { AgentService } from './agent.service.ts'
import { fromDefaultsBody, toAgentBody, toErasureBody } from './agent-body.ts'

const agentParams = Type.Object({ agent_id: Type.String({ pattern: clientIdPattern }) })
const erasureParams = Type.Object({ erasure_id: Type.String({ pattern: idPattern('era') }) })

export const registerAgentRoutes = (app: App, { agents }: { agents: AgentService }): void => {
  for (const component of [...agentComponents, pageComponent('Agent')]) app.addSchema(component)
  const agentBody = refTo<object>('Agent')
  const erasureBody = refTo<object>('Erasure')

  app.route({
    method: 'GET',
    url: '/v1/agents',
    config: { access: tenantAccess('memory:read') },
    schema: {
      operationId: 'listAgents',
      summary: 'List agents',
      tags: ['agents'],
      querystring: pageQuerySchema,
      response: { 200: refTo<object>('AgentPage'), ...problems() },
    },
    handler: async (request) =>
      toPageBody(await agents.list(callerOf(request), pageRequestOf(request.query)), toAgentBody),
  })

  app.route({
    method: 'GET',
    url: '/v1/agents/:agent_id',
    config: { access: tenantAccess('memory:read') },
    schema: {
      operationId: 'getAgent',
      summary: 'Get an agent with its counts and how far its index is',
      tags: ['agents'],
      params: agentParams,
      response: { 200: agentBody, ...problems(404) },
    },
    handler: async (request) => toAgentBody(await agents.get(callerOf(request), request.params.agent_id)),
  })

  app.route({
    method: 'PATCH',
    url: '/v1/agents/:agent_id',
    config: { access: tenantAccess('memory:write') },
    schema: {
      operationId: 'updateAgent',
      summary: "Replace an agent's metadata or the defaults of its sessions",
      tags: ['agents'],
      params: agentParams,
      body: refTo<AgentChangeBody>('AgentChange'),
      response: { 200: agentBody, ...bodyProblems(404) },
    },
    handler: async (request) => {
      const { metadata, defaults } = request.body
      ensureMetadata(metadata)
      const agent = await agents.update(callerOf(request), {
        agentId: request.params.agent_id,
        metadata: metadata ?? null,
        defaults: defaults === undefined ? null : fromDefaultsBody(defaults),
      })
      return toAgentBody(agent)
    },
  })

  app.route({
    method: 'DELETE',
    url: '/v1/agents/:agent_id',
    config: { access: tenantAccess('memory:write') },
    schema: {
      operationId: 'eraseAgent',
      summary: 'Erase an agent: its memories, sessions and everything derived from them',
      tags: ['agents'],
      params: agentParams,
      response: { 202: withHeaders('Erasure', 'Begun.', 'Location'), ...bodyProblems(404) },
    },
    handler: async (request, reply) => {
      const erasure = await agents.erase(callerOf(request), request.params.agent_id)
      return reply.code(202).header('Location', `/v1/erasures/${erasure.erasureId}`).send(toErasureBody(erasure))
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/erasures/:erasure_id',
    config: { access: tenantAccess('memory:read') },
    schema: {
      operationId: 'getErasure',
      summary: 'Get the receipt of an erasure',
      tags: ['agents'],
      params: erasureParams,
      response: { 200: erasureBody, ...problems(404) },
    },
    handler: async (request) => {
      const { erasure_id }: Static<typeof erasureParams> = request.params
      return toErasureBody(await agents.getErasure(callerOf(request), erasure_id))
    },
  })
}
