import { Readable } from 'node:stream'
import { isStreamedBody } from '../../http/body-parsers.ts'
import { ensureValidPath, unsupportedMediaType } from '../../http/http-errors.ts'
import { problemBodyOf } from '../../http/problem.ts'
import { type App, callerOf, tenantAccess } from '../../http/route.ts'
import { bodyProblems, problems, withHeaders } from '../../http/route-schemas.ts'
import type { Caller } from '../../shared/caller.ts'
import { type AppError, isAppError } from '../../shared/errors.ts'
import { createPauses } from '../../shared/yielding.ts'
import { type ImportedLine, readImportedLines } from './import-lines.ts'
import type { ImportResult } from './import-progress.ts'
import { importBrokeOff } from './memory.errors.ts'
import { agentParams } from './memory.routes.ts'
import { toMemoryBody } from './memory-body.ts'
import type { MemoryTransfer } from './memory-transfer.service.ts'

const ndjson = 'application/x-ndjson'

const linesBetweenLooks = 500

/** What ends an import and leaves what has come by then. */
const endings = ['request.too_slow', 'auth.invalid_key', 'tenant.suspended'] as const

/**
 * The lines of an import while its key is good and its client sends. When either ends, what has come is stored all the
 * same; `ensureWhole` then says how far that was.
 */
const watchLines = (lines: AsyncIterable<ImportedLine>, caller: Caller) => {
  let ended: { readonly by: AppError; readonly line: number } | null = null
  async function* watched(): AsyncGenerator<ImportedLine> {
    let count = 0
    let line = 0
    try {
      for await (const read of lines) {
        if (count % linesBetweenLooks === 0) await caller.ensureLive?.()
        count += 1
        line = read.line
        yield read
      }
    } catch (error) {
      if (!endings.some((code) => isAppError(error, code))) throw error
      ended = { by: error as AppError, line }
    }
  }
  return {
    lines: watched(),
    /** @throws AppError `memory.import_broke_off` (503), or one of the `endings` */
    ensureWhole: ({ created }: Pick<ImportResult, 'created'>): void => {
      if (ended === null) return
      throw created === 0 ? ended.by : importBrokeOff({ created, line: ended.line }, ended.by)
    },
  }
}

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
      const caller = callerOf(request)
      const pages = transfer.exportAll(caller, request.params.agent_id)
      const { pause } = createPauses()
      async function* lines() {
        for await (const page of pages) {
          await caller.ensureLive?.()
          for (const memory of page) {
            yield `${JSON.stringify(toMemoryBody(memory))}\n`
            await pause()
          }
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
      response: {
        200: withHeaders('ImportResult', 'What was stored, and which lines were not.'),
        ...bodyProblems(409),
      },
    },
    handler: async (request) => {
      ensureValidPath(request)
      if (!isStreamedBody(request.body)) throw unsupportedMediaType()
      const caller = callerOf(request)
      const { lines, ensureWhole } = watchLines(readImportedLines(request.body), caller)
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
