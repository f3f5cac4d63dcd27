import { Type } from 'typebox'
import { etagOf } from '../../http/etag.ts'
import { unsafeText } from '../../http/http-errors.ts'
import { problemBodyOf } from '../../http/problem.ts'
import { type App, callerOf, tenantAccess } from '../../http/route.ts'
import {
  bodyProblems,
  pageComponent,
  pageQuery,
  pageRequestOf,
  problems,
  toPageBody,
  withHeaders,
} from '../../http/route-schemas.ts'
import { isBlank } from '../../shared/blank-text.ts'
import { clientIdPattern } from '../../shared/ids.ts'
import { findUnsafeText, isJsonObject } from '../../shared/json-limits.ts'
import { ensureMetadata, type Metadata } from '../../shared/metadata.ts'
import { toUtc } from '../../shared/moment.ts'
import { readJson } from '../../shared/read-json.ts'
import { refTo } from '../../shared/schema.ts'
import { inSlices, mapSteps } from '../../shared/yielding.ts'
import { filterInvalid, queryBlank } from './memory.errors.ts'
import { memoryComponents, type NewMemoryBody, type SearchBody } from './memory.schemas.ts'
import type { MemoryService } from './memory.service.ts'
import type { BatchResult } from './memory-additions.ts'
import { fromNewMemoryBody, toMemoryBody, toResultBody } from './memory-body.ts'
import type { MemorySearch } from './memory-search.service.ts'
import { readNewMemory } from './read-memory.ts'

export const agentParams = Type.Object({ agent_id: Type.String({ pattern: clientIdPattern }) })
const listQuery = Type.Object(
  {
    ...pageQuery,
    memory_type: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
    metadata: Type.Optional(Type.String({ maxLength: 8_192, description: 'A JSON object; every pair must be equal.' })),
    created_after: Type.Optional(Type.String({ format: 'date-time' })),
    created_before: Type.Optional(Type.String({ format: 'date-time' })),
    index_state: Type.Optional(Type.Union([Type.Literal('pending'), Type.Literal('indexed'), Type.Literal('failed')])),
    order: Type.Optional(
      Type.Union([Type.Literal('asc'), Type.Literal('desc')], { default: 'desc', description: 'By creation.' }),
    ),
  },
  { additionalProperties: false },
)
const defaultTopK = 10

const momentOf = (text: string | undefined, pointer: string): string | null =>
  text === undefined ? null : toUtc(text, pointer)

const parseFilter = (text: string | undefined): Metadata | null => {
  if (text === undefined) return null
  const read = readJson(text)
  const filter = read.ok ? read.value : {}
  if (!isJsonObject(filter) || (!read.ok && read.fault === null))
    throw filterInvalid('metadata must be a JSON object such as {"topic":"drinks"}.')
  const unsafe = read.ok ? findUnsafeText(filter) : read.fault
  if (unsafe !== null) throw unsafeText({ ...unsafe, pointer: `/metadata${unsafe.pointer}` })
  ensureMetadata(filter)
  return filter
}

export type MemoryRoutesDependencies = { readonly memories: MemoryService; readonly search: MemorySearch }

export const registerMemoryRoutes = (app: App, { memories, search }: MemoryRoutesDependencies): void => {
  for (const component of [...memoryComponents, pageComponent('Memory'), pageComponent('MemoryVersion')])
    app.addSchema(component)

  app.route({
    method: 'POST',
    url: '/v1/agents/:agent_id/memories',
    config: { access: tenantAccess('memory:write') },
    schema: {
      operationId: 'addMemory',
      summary: 'Add a memory',
      tags: ['memories'],
      params: agentParams,
      body: refTo<NewMemoryBody>('NewMemory'),
      response: { 201: withHeaders('Memory', 'Stored.', 'ETag', 'Location'), ...bodyProblems(409) },
    },
    handler: async (request, reply) => {
      const { agent_id: agentId } = request.params
      const memory = await memories.add(callerOf(request), { agentId, memory: fromNewMemoryBody(request.body) })
      return reply
        .code(201)
        .header('Location', `/v1/agents/${agentId}/memories/${memory.memoryId}`)
        .header('ETag', etagOf(memory.version))
        .send(toMemoryBody(memory))
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/agents/:agent_id/memories/batch',
    config: { access: tenantAccess('memory:write') },
    schema: {
      operationId: 'addMemories',
      summary: 'Add up to 500 memories, each stored or rejected by itself',
      tags: ['memories'],
      params: agentParams,
      body: refTo<{ memories: unknown[] }>('MemoryBatch'),
      response: { 200: refTo<object>('MemoryBatchResult'), ...bodyProblems(409) },
    },
    handler: async (request) => {
      const caller = callerOf(request)
      const given = await inSlices(mapSteps(request.body.memories, readNewMemory), caller.signal)
      const results = await memories.addMany(caller, { agentId: request.params.agent_id, memories: given })
      const toBody = (result: BatchResult, index: number) =>
        'memory' in result
          ? { index, status: 'created', memory: toMemoryBody(result.memory) }
          : { index, status: 'rejected', problem: problemBodyOf(result.problem, request.id) }
      return { results: results.map(toBody) }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/agents/:agent_id/memories',
    config: { access: tenantAccess('memory:read') },
    schema: {
      operationId: 'listMemories',
      summary: 'List memories',
      tags: ['memories'],
      params: agentParams,
      querystring: listQuery,
      response: { 200: refTo<object>('MemoryPage'), ...problems() },
    },
    handler: async (request) => {
      const { query } = request
      const page = await memories.list(
        callerOf(request),
        {
          agentId: request.params.agent_id,
          memoryType: query.memory_type ?? null,
          metadata: parseFilter(query.metadata),
          createdAfter: momentOf(query.created_after, '/created_after'),
          createdBefore: momentOf(query.created_before, '/created_before'),
          indexState: query.index_state ?? null,
          order: query.order ?? 'desc',
        },
        pageRequestOf(query),
      )
      return toPageBody(page, toMemoryBody)
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/agents/:agent_id/memories/search',
    config: { access: tenantAccess('memory:read') },
    schema: {
      operationId: 'searchMemories',
      summary: 'Search memories by meaning, by words, or both',
      tags: ['memories'],
      params: agentParams,
      body: refTo<SearchBody>('SearchRequest'),
      response: { 200: refTo<object>('SearchAnswer'), ...bodyProblems() },
    },
    handler: async (request) => {
      const { body } = request
      if (isBlank(body.query)) throw queryBlank()
      ensureMetadata(body.metadata_filter)
      const answer = await search.search(callerOf(request), {
        agentId: request.params.agent_id,
        query: body.query,
        topK: body.top_k ?? defaultTopK,
        mode: body.mode ?? 'hybrid',
        metadataFilter: body.metadata_filter ?? {},
        memoryType: body.memory_type ?? null,
        minScore: body.min_score ?? null,
      })
      return { results: answer.results.map(toResultBody), degraded: answer.degraded }
    },
  })
}
