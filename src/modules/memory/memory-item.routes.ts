import { Type } from 'typebox'
import { etagOf, parseIfMatch, requireIfMatch } from '../../http/etag.ts'
import { type App, callerOf, tenantAccess } from '../../http/route.ts'
import {
  bodyProblems,
  pageQuerySchema,
  pageRequestOf,
  problems,
  toPageBody,
  withHeaders,
} from '../../http/route-schemas.ts'
import { clientIdPattern, idPattern } from '../../shared/ids.ts'
import { refTo } from '../../shared/schema.ts'
import type { MemoryChangeBody } from './memory.schemas.ts'
import type { MemoryService } from './memory.service.ts'
import { fromChangeBody, toMemoryBody, toVersionBody } from './memory-body.ts'

const memoryParams = Type.Object({
  agent_id: Type.String({ pattern: clientIdPattern }),
  memory_id: Type.String({ pattern: idPattern('mem') }),
})
const ifMatch = Type.Object({
  'if-match': Type.Optional(
    Type.String({ maxLength: 1_024, description: 'The ETag that you read, such as "v3", or *.' }),
  ),
})

/** One memory, and its versions. */
export const registerMemoryItemRoutes = (app: App, { memories }: { memories: MemoryService }): void => {
  app.route({
    method: 'GET',
    url: '/v1/agents/:agent_id/memories/:memory_id',
    config: { access: tenantAccess('memory:read') },
    schema: {
      operationId: 'getMemory',
      summary: 'Get a memory',
      tags: ['memories'],
      params: memoryParams,
      response: { 200: withHeaders('Memory', 'The memory.', 'ETag'), ...problems(404) },
    },
    handler: async (request, reply) => {
      const { agent_id: agentId, memory_id: memoryId } = request.params
      const memory = await memories.get(callerOf(request), { agentId, memoryId })
      return reply.header('ETag', etagOf(memory.version)).send(toMemoryBody(memory))
    },
  })

  app.route({
    method: 'PATCH',
    url: '/v1/agents/:agent_id/memories/:memory_id',
    config: { access: tenantAccess('memory:write'), isDoneOnce: true },
    schema: {
      operationId: 'updateMemory',
      summary: 'Change a memory; the previous version is kept',
      tags: ['memories'],
      params: memoryParams,
      headers: ifMatch,
      body: refTo<MemoryChangeBody>('MemoryChange'),
      response: { 200: withHeaders('Memory', 'The new version.', 'ETag'), ...bodyProblems(404, 409, 412, 428) },
    },
    handler: async (request, reply) => {
      const { agent_id: agentId, memory_id: memoryId } = request.params
      const memory = await memories.update(callerOf(request), {
        agentId,
        memoryId,
        expected: requireIfMatch(request.headers['if-match']),
        change: fromChangeBody(request.body),
      })
      return reply.header('ETag', etagOf(memory.version)).send(toMemoryBody(memory))
    },
  })

  app.route({
    method: 'DELETE',
    url: '/v1/agents/:agent_id/memories/:memory_id',
    config: { access: tenantAccess('memory:write') },
    schema: {
      operationId: 'deleteMemory',
      summary: 'Delete a memory with its versions, for good',
      tags: ['memories'],
      params: memoryParams,
      headers: ifMatch,
      response: { 204: Type.Null({ description: 'Gone.' }), ...bodyProblems(404, 412, 428) },
    },
    handler: async (request, reply) => {
      const { agent_id: agentId, memory_id: memoryId } = request.params
      const expected = requireIfMatch(request.headers['if-match'])
      await memories.delete(callerOf(request), { agentId, memoryId, expected })
      return reply.code(204).send(null)
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/agents/:agent_id/memories/:memory_id/versions',
    config: { access: tenantAccess('memory:read') },
    schema: {
      operationId: 'listMemoryVersions',
      summary: 'List the versions of a memory, the newest first',
      tags: ['memories'],
      params: memoryParams,
      querystring: pageQuerySchema,
      response: { 200: refTo<object>('MemoryVersionPage'), ...problems(404) },
    },
    handler: async (request) => {
      const { agent_id: agentId, memory_id: memoryId } = request.params
      const page = await memories.listVersions(callerOf(request), { agentId, memoryId }, pageRequestOf(request.query))
      return toPageBody(page, toVersionBody)
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/agents/:agent_id/memories/:memory_id/revert',
    config: { access: tenantAccess('memory:write') },
    schema: {
      operationId: 'revertMemory',
      summary: 'Make an older version the newest one',
      tags: ['memories'],
      params: memoryParams,
      headers: ifMatch,
      body: refTo<{ version: number }>('MemoryRevert'),
      response: { 200: withHeaders('Memory', 'The new version.', 'ETag'), ...bodyProblems(404, 409, 412) },
    },
    handler: async (request, reply) => {
      const { agent_id: agentId, memory_id: memoryId } = request.params
      const memory = await memories.revert(callerOf(request), {
        agentId,
        memoryId,
        version: request.body.version,
        expected: parseIfMatch(request.headers['if-match']) ?? '*',
      })
      return reply.header('ETag', etagOf(memory.version)).send(toMemoryBody(memory))
    },
  })
}
