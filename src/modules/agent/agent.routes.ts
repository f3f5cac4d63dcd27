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
import { type AgentChangeBody, type AgentDefaultsBody, agentComponents } from './agent.schemas.ts'
import type { AgentService } from './agent.service.ts'
import type { Agent, AgentDefaults, Erasure } from './agent-types.ts'

const agentParams = Type.Object({ agent_id: Type.String({ pattern: clientIdPattern }) })
const erasureParams = Type.Object({ erasure_id: Type.String({ pattern: idPattern('era') }) })

const toDefaultsBody = (defaults: AgentDefaults): AgentDefaultsBody => ({
  ...(defaults.budgetTokens === undefined ? {} : { budget_tokens: defaults.budgetTokens }),
  ...(defaults.filterThreshold === undefined ? {} : { filter_threshold: defaults.filterThreshold }),
  ...(defaults.topK === undefined ? {} : { top_k: defaults.topK }),
  ...(defaults.duplicateThreshold === undefined ? {} : { duplicate_threshold: defaults.duplicateThreshold }),
  ...(defaults.memoryTtlSeconds === undefined ? {} : { memory_ttl_seconds: defaults.memoryTtlSeconds }),
})

const fromDefaultsBody = (body: AgentDefaultsBody): AgentDefaults => ({
  ...(body.budget_tokens === undefined ? {} : { budgetTokens: body.budget_tokens }),
  ...(body.filter_threshold === undefined ? {} : { filterThreshold: body.filter_threshold }),
  ...(body.top_k === undefined ? {} : { topK: body.top_k }),
  ...(body.duplicate_threshold === undefined ? {} : { duplicateThreshold: body.duplicate_threshold }),
  ...(body.memory_ttl_seconds === undefined ? {} : { memoryTtlSeconds: body.memory_ttl_seconds }),
})

const toAgentBody = (agent: Agent) => ({
  agent_id: agent.agentId,
  metadata: agent.metadata,
  defaults: toDefaultsBody(agent.defaults),
  memory_count: agent.memoryCount,
  session_count: agent.sessionCount,
  memory_tokens: agent.memoryTokens,
  revision: agent.revision,
  index_lag: agent.indexLag,
  created_at: agent.createdAt,
  updated_at: agent.updatedAt,
})

const toErasureBody = (erasure: Erasure) => ({
  erasure_id: erasure.erasureId,
  agent_id: erasure.agentId,
  status: erasure.status,
  requested_at: erasure.requestedAt,
  ...(erasure.completedAt === null ? {} : { completed_at: erasure.completedAt }),
  stores: erasure.stores,
})

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
