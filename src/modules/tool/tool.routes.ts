import { type TSchema, Type } from 'typebox'
import { etagOf, parseIfMatch } from '../../http/etag.ts'
import { ensureValidPath } from '../../http/http-errors.ts'
import { type App, callerOf, tenantAccess } from '../../http/route.ts'
import { bodyProblems, problems, withHeaders } from '../../http/route-schemas.ts'
import { refTo } from '../../shared/schema.ts'
import { contextIfMatch } from '../context/context.schemas.ts'
import { sessionParams } from '../session/session.routes.ts'
import { type ModelOutputBody, toolComponents } from './tool.schemas.ts'
import type { ToolService } from './tool.service.ts'
import { toStepAnswerBody, toToolAnswerBody } from './tool-body.ts'
import { toolDefinitions, toolKeys } from './tool-definitions.ts'
import { formatTools, type ToolFormat, toolFormats } from './tool-formats.ts'
import { toolBodies } from './tool-parameters.ts'

export const registerToolRoutes = (app: App, { tools }: { tools: ToolService }): void => {
  for (const component of toolComponents) app.addSchema(component)

  for (const key of toolKeys) {
    const { operationId, title } = toolDefinitions[key]
    app.route({
      method: 'POST',
      url: `/v1/sessions/:session_id/tools/${key}`,
      config: { access: tenantAccess('session:write') },
      schema: {
        operationId,
        summary: title,
        tags: ['tools'],
        params: sessionParams,
        headers: contextIfMatch,
        body: toolBodies[key] as TSchema,
        response: { 200: withHeaders('ToolAnswer', 'What the tool did.', 'ETag'), ...bodyProblems(404, 409, 412) },
      },
      // The tool checks its arguments itself, so that every door gives the same reasons.
      attachValidation: true,
      handler: async (request, reply) => {
        ensureValidPath(request)
        const { session_id: sessionId } = request.params
        const expected = parseIfMatch(request.headers['if-match'])
        const called = { sessionId, key, args: request.body, door: 'http', expected } as const
        const answer = await tools.call(callerOf(request), called)
        return reply.header('ETag', etagOf(answer.context.version)).send(toToolAnswerBody(answer))
      },
    })
  }

  app.route({
    method: 'POST',
    url: '/v1/sessions/:session_id/tool_calls',
    config: { access: tenantAccess('session:write') },
    schema: {
      operationId: 'callTools',
      summary: "Run what a model wrote: raw text, or OpenAI's tool_calls",
      tags: ['tools'],
      params: sessionParams,
      headers: contextIfMatch,
      body: refTo<ModelOutputBody>('ModelOutput'),
      response: { 200: withHeaders('StepAnswer', 'What each call did.', 'ETag'), ...bodyProblems(404, 409, 412) },
    },
    handler: async (request, reply) => {
      const { output, tool_calls: toolCalls, append = false } = request.body
      const step = await tools.callAll(callerOf(request), {
        sessionId: request.params.session_id,
        output: { output, toolCalls, append },
        expected: parseIfMatch(request.headers['if-match']),
      })
      return reply.header('ETag', etagOf(step.context.version)).send(toStepAnswerBody(step))
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/tools',
    config: { access: tenantAccess('session:read') },
    schema: {
      operationId: 'listTools',
      summary: 'List the tool definitions, in the form that a client passes on to its model',
      tags: ['tools'],
      querystring: Type.Object(
        { format: Type.Optional(Type.Union(toolFormats.map((format) => Type.Literal(format)))) },
        { additionalProperties: false },
      ),
      response: { 200: refTo<object>('ToolList'), ...problems() },
    },
    handler: async (request) => ({ tools: formatTools((request.query.format ?? 'agemem') as ToolFormat) }),
  })
}
