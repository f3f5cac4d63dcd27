import { Type } from 'typebox'
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
import { clientIdPattern } from '../../shared/ids.ts'
import { ensureMetadata } from '../../shared/metadata.ts'
import { refTo } from '../../shared/schema.ts'
import { type NewMessageBody, type NewSessionBody, sessionComponents } from './session.schemas.ts'
import type { SessionService, StartContext } from './session.service.ts'
import { fromOptionsBody, toSessionBody } from './session-body.ts'

export const sessionParams = Type.Object({ session_id: Type.String({ pattern: clientIdPattern }) })

const listQuery = Type.Object(
  {
    ...pageQuery,
    agent_id: Type.Optional(Type.String({ pattern: clientIdPattern })),
    status: Type.Optional(Type.Union([Type.Literal('open'), Type.Literal('closed')])),
  },
  { additionalProperties: false },
)

export type SessionRoutesDependencies = {
  readonly sessions: SessionService
  /** How first messages enter the context; the context module's, handed over where the app is put together. */
  readonly startContext: (messages: readonly NewMessageBody[]) => StartContext
}

export const registerSessionRoutes = (app: App, { sessions, startContext }: SessionRoutesDependencies): void => {
  for (const component of [...sessionComponents, pageComponent('Session')]) app.addSchema(component)
  const sessionBody = refTo<object>('Session')

  app.route({
    method: 'POST',
    url: '/v1/sessions',
    config: { access: tenantAccess('session:write') },
    schema: {
      operationId: 'createSession',
      summary: 'Create a session of an agent, with its first messages',
      tags: ['sessions'],
      body: refTo<NewSessionBody>('NewSession'),
      response: { 201: withHeaders('Session', 'Created.', 'Location'), ...bodyProblems(409) },
    },
    handler: async (request, reply) => {
      const { body } = request
      ensureMetadata(body.metadata)
      const session = await sessions.create(
        callerOf(request),
        {
          agentId: body.agent_id,
          sessionId: body.session_id,
          budgetTokens: body.budget_tokens,
          metadata: body.metadata,
          options: body.options === undefined ? undefined : fromOptionsBody(body.options),
        },
        startContext(body.messages ?? []),
      )
      return reply.code(201).header('Location', `/v1/sessions/${session.sessionId}`).send(toSessionBody(session))
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/sessions',
    config: { access: tenantAccess('session:read') },
    schema: {
      operationId: 'listSessions',
      summary: 'List sessions',
      tags: ['sessions'],
      querystring: listQuery,
      response: { 200: refTo<object>('SessionPage'), ...problems() },
    },
    handler: async (request) => {
      const { query } = request
      const filter = { agentId: query.agent_id ?? null, status: query.status ?? null }
      return toPageBody(await sessions.list(callerOf(request), filter, pageRequestOf(query)), toSessionBody)
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/sessions/:session_id',
    config: { access: tenantAccess('session:read') },
    schema: {
      operationId: 'getSession',
      summary: 'Get a session with the measure of its context',
      tags: ['sessions'],
      params: sessionParams,
      response: { 200: sessionBody, ...problems(404) },
    },
    handler: async (request) => toSessionBody(await sessions.get(callerOf(request), request.params.session_id)),
  })

  app.route({
    method: 'POST',
    url: '/v1/sessions/:session_id/close',
    config: { access: tenantAccess('session:write') },
    schema: {
      operationId: 'closeSession',
      summary: 'Close a session: it can be read, not written',
      tags: ['sessions'],
      params: sessionParams,
      response: { 200: sessionBody, ...bodyProblems(404, 409) },
    },
    handler: async (request) => toSessionBody(await sessions.close(callerOf(request), request.params.session_id)),
  })
}
