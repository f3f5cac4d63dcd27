import { Readable } from 'node:stream'
import { isStream } from '../../http/body-parsers.ts'
import { ensureValidPath, unsupportedMediaType } from '../../http/http-errors.ts'
import { problemBodyOf } from '../../http/problem.ts'
import { type App, callerOf, tenantAccess } from '../../http/route.ts'
import { bodyProblems, problems } from '../../http/route-schemas.ts'
import { refTo } from '../../shared/schema.ts'
import { createPauses } from '../../shared/yielding.ts'
import { readImportedLines } from './import-lines.ts'
import { agentParams } from './memory.routes.ts'
import { toMemoryBody } from './memory-body.ts'
import type { MemoryTransfer } from './memory-transfer.service.ts'

const ndjson = 'application/x-ndjson'

export const registerMemoryTransferRoutes = (app: App, { transfer }: { transfer: MemoryTransfer }): void => {
  app.route({
    method: 'GET',
    url: '/v1/agents/:agent_id/memories/export',
    config: { access: tenantAccess('memory:read') },
    schema: {
      operationId: 'exportMemories',
      summary: 'Export every memory as NDJSON, streamed',
      tags: ['memories'],
      params: agentParams,
      response: {
        200: {
          description: 'One memory a line.',
          content: { [ndjson]: { schema: { type: 'string' } } },
        },
        ...problems(),
      },
    },
    handler: async (request, reply) => {
      const pages = transfer.exportAll(callerOf(request), request.params.agent_id)
      const { pause } = createPauses()
      async function* lines() {
        for await (const page of pages)
          for (const memory of page) {
            yield `${JSON.stringify(toMemoryBody(memory))}\n`
            await pause()
          }
      }
      return reply.header('Content-Type', ndjson).send(Readable.from(lines()) as unknown as string)
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/agents/:agent_id/memories/import',
    config: { access: tenantAccess('memory:write') },
    // The body is a stream, whose lines are checked one by one as they come.
    attachValidation: true,
    schema: {
      operationId: 'importMemories',
      summary: 'Import memories from NDJSON, streamed; lines that cannot be stored are reported',
      tags: ['memories'],
      params: agentParams,
      consumes: [ndjson],
      body: { content: { [ndjson]: { schema: { type: 'string' } } } },
      response: { 200: refTo<object>('ImportResult'), ...bodyProblems(409) },
    },
    handler: async (request) => {
      ensureValidPath(request)
      if (!isStream(request.body)) throw unsupportedMediaType()
      const lines = readImportedLines(request.body as unknown as Readable)
      const result = await transfer.importAll(callerOf(request), request.params.agent_id, lines)
      return {
        created: result.created,
        rejected: result.rejected.map(({ line, problem }) => ({ line, problem: problemBodyOf(problem, request.id) })),
        rejected_count: result.rejectedCount,
      }
    },
  })
}
