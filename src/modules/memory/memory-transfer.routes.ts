import { isStreamedBody } from '../../http/body-parsers.ts'
import type { Exports } from '../../http/exports.ts'
import { ensureValidPath, unsupportedMediaType } from '../../http/http-errors.ts'
import { ndjson } from '../../http/media-types.ts'
import { problemBodyOf } from '../../http/problem.ts'
import { type App, callerOf, tenantAccess } from '../../http/route.ts'
import { bodyProblems, problems, withHeaders } from '../../http/route-schemas.ts'
import { systemClock } from '../../shared/clock.ts'
import { readImportedLines } from './import-lines.ts'
import { agentParams } from './memory.routes.ts'
import { toMemoryBody } from './memory-body.ts'
import type { MemoryTransfer } from './memory-transfer.service.ts'
import { watchLines } from './watch-lines.ts'

export const registerMemoryTransferRoutes = (
  app: App,
  { transfer, exports }: { transfer: MemoryTransfer; exports: Exports },
): void => {
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
      const caller = callerOf(request)
      const pages = transfer.exportAll(caller, request.params.agent_id)
      return exports.send(reply, { caller, pages, toBody: toMemoryBody }) as unknown as string
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
      response: {
        200: withHeaders('ImportResult', 'What was stored, and which lines were not.'),
        ...bodyProblems(409),
      },
    },
    handler: async (request) => {
      ensureValidPath(request)
      if (!isStreamedBody(request.body)) throw unsupportedMediaType()
      const caller = callerOf(request)
      const { lines, ensureWhole } = watchLines(readImportedLines(request.body), { caller, clock: systemClock })
      const result = await transfer.importAll(caller, request.params.agent_id, lines)
      ensureWhole(result)
      return {
        created: result.created,
        rejected: result.rejected.map(({ line, problem }) => ({ line, problem: problemBodyOf(problem, request.id) })),
        rejected_count: result.rejectedCount,
      }
    },
  })
}
