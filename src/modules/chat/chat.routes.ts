import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { logFailure } from '../../http/describe-error.ts'
import { sendData } from '../../http/event-stream.ts'
import { scopeMissing } from '../../http/http-errors.ts'
import { openAiErrorOf } from '../../http/problem.ts'
import { type App, callerOf, tenantAccess } from '../../http/route.ts'
import { bodyProblems, problems } from '../../http/route-schemas.ts'
import { withBoundClaim } from '../../shared/caller.ts'
import type { AppError } from '../../shared/errors.ts'
import { clientIdPattern } from '../../shared/ids.ts'
import { refTo } from '../../shared/schema.ts'
import type { PolicyDefaults } from '../policy/policy-body.ts'
import { sessionHeaderMissing } from './chat.errors.ts'
import { type ChatCompletionBody, chatComponents } from './chat.schemas.ts'
import type { ChatRequest, ChatService } from './chat.service.ts'
import { type ChatFrame, toCompletion } from './chat-body.ts'
import { chunksOf } from './chat-chunks.ts'
import { readChatRequest } from './read-chat-request.ts'

export type ChatRoutesDependencies = {
  readonly chat: ChatService
  readonly policyDefaults: PolicyDefaults
}

const heartbeatMs = 15_000

const chatHeaders = Type.Object({
  'agemem-session': Type.Optional(
    Type.String({ pattern: clientIdPattern, description: 'The session that the chat belongs to. Required.' }),
  ),
  'agemem-agent': Type.Optional(
    Type.String({ pattern: clientIdPattern, description: 'Creates the session for this agent on first use.' }),
  ),
})

const headerOf = (value: string | string[] | undefined): string | null => (typeof value === 'string' ? value : null)

const wantsStream = ({ body }: FastifyRequest): boolean => (body as ChatCompletionBody).stream === true

/** @throws AppError `chat.session_missing` (400) */
const placeOf = (request: FastifyRequest): Pick<ChatRequest, 'sessionId' | 'agentId'> => {
  const sessionId = headerOf(request.headers['agemem-session'])
  const agentId = headerOf(request.headers['agemem-agent'])
  if (sessionId === null) throw sessionHeaderMissing()
  return { sessionId, agentId }
}

const completionResponse = {
  description: 'The answer; or, with `stream`, its chunks as server-sent events, `[DONE]` last.',
  content: {
    'application/json': { schema: { $ref: 'ChatCompletion' } },
    'text/event-stream': { schema: { type: 'string' } },
  },
}

const registerModelsRoute = (app: App, { chat }: ChatRoutesDependencies): void => {
  app.route({
    method: 'GET',
    url: '/v1/models',
    config: { access: tenantAccess('policy:run'), errorForm: 'openai' },
    schema: {
      operationId: 'listModels',
      summary: 'List the models, as OpenAI does',
      tags: ['policy'],
      response: { 200: refTo<object>('ModelList'), ...problems() },
    },
    handler: async () => {
      const model = chat.findModel()
      const data = model === null ? [] : [{ id: model, object: 'model', created: 0, owned_by: 'agemem' }]
      return { object: 'list', data }
    },
  })
}

export const registerChatRoutes = (app: App, dependencies: ChatRoutesDependencies): void => {
  const { chat, policyDefaults } = dependencies
  for (const component of chatComponents) app.addSchema(component)
  registerModelsRoute(app, dependencies)

  app.route({
    method: 'POST',
    url: '/v1/chat/completions',
    config: { access: tenantAccess('policy:run'), errorForm: 'openai', asksForEvents: wantsStream },
    schema: {
      operationId: 'createChatCompletion',
      summary: 'Chat with the agent of a session, as with OpenAI',
      tags: ['policy'],
      headers: chatHeaders,
      body: refTo<ChatCompletionBody>('ChatCompletionRequest'),
      response: { 200: completionResponse, ...bodyProblems(404, 409, 502) },
    },
    handler: async (request, reply) => {
      const place = placeOf(request)
      const caller = withBoundClaim(callerOf(request), place)
      if (place.agentId !== null && !caller.scopes.includes('session:write')) throw scopeMissing('session:write')
      const { isStreamed, wantsUsage, ...asked } = readChatRequest(request.body, policyDefaults)
      const frame: ChatFrame = { sessionId: place.sessionId, model: chat.findModel() ?? asked.model }
      if (!isStreamed) return toCompletion(await chat.complete(caller, { ...place, ...asked }), frame) as never
      const { runId, events } = await chat.stream(caller, { ...place, ...asked }, { idleMs: heartbeatMs })
      const toError = (failure: AppError) => {
        logFailure(request.log, failure)
        return openAiErrorOf(failure)
      }
      const data = chunksOf(events, { ...frame, runId, wantsUsage }, toError)
      return sendData(reply as unknown as FastifyReply, data) as never
    },
  })
}
