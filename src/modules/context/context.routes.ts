import { Type } from 'typebox'
import { etagOf, parseIfMatch } from '../../http/etag.ts'
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
import type { TokenCountSource } from '../../ports/tokenizer.ts'
import { clientIdPattern, idPattern } from '../../shared/ids.ts'
import { refTo } from '../../shared/schema.ts'
import { sessionParams } from '../session/session.routes.ts'
import type { NewMessageBody } from '../session/session.schemas.ts'
import { toMeasureBody } from '../session/session-body.ts'
import { contextComponents, contextIfMatch } from './context.schemas.ts'
import type { ContextService } from './context.service.ts'
import { fromMessageBodies, toEditBody, toMessageBody } from './context-body.ts'
import { renderContext } from './render-context.ts'

const messageParams = Type.Object({
  session_id: Type.String({ pattern: clientIdPattern }),
  message_id: Type.String({ pattern: idPattern('msg') }),
})
const editParams = Type.Object({
  session_id: Type.String({ pattern: clientIdPattern }),
  edit_id: Type.String({ pattern: idPattern('edt') }),
})

export type ContextRoutesDependencies = {
  readonly contexts: ContextService
  readonly tokenCountSource: TokenCountSource
}

export const registerContextRoutes = (app: App, { contexts, tokenCountSource }: ContextRoutesDependencies): void => {
  for (const component of [...contextComponents, pageComponent('Message'), pageComponent('Edit')])
    app.addSchema(component)

  app.route({
    method: 'POST',
    url: '/v1/sessions/:session_id/messages',
    config: { access: tenantAccess('session:write') },
    schema: {
      operationId: 'appendMessages',
      summary: 'Append messages to the context',
      tags: ['context'],
      params: sessionParams,
      headers: contextIfMatch,
      body: refTo<{ messages: NewMessageBody[] }>('MessageAppend'),
      response: {
        201: withHeaders('MessageAppendResult', 'Appended.', 'ETag', 'Location'),
        ...bodyProblems(404, 409, 412),
      },
    },
    handler: async (request, reply) => {
      const { messages, context } = await contexts.append(callerOf(request), {
        sessionId: request.params.session_id,
        messages: fromMessageBodies(request.body.messages, '/messages'),
        expected: parseIfMatch(request.headers['if-match']),
      })
      return reply
        .code(201)
        .header('Location', `/v1/sessions/${request.params.session_id}/messages`)
        .header('ETag', etagOf(context.version))
        .send({ messages: messages.map(toMessageBody), context: toMeasureBody(context) })
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/sessions/:session_id/messages',
    config: { access: tenantAccess('session:read') },
    schema: {
      operationId: 'listMessages',
      summary: 'List every message ever, with what happened to each',
      tags: ['context'],
      params: sessionParams,
      querystring: pageQuerySchema,
      response: { 200: refTo<object>('MessagePage'), ...problems(404) },
    },
    handler: async (request) => {
      const { session_id: sessionId } = request.params
      const page = await contexts.listMessages(callerOf(request), sessionId, pageRequestOf(request.query))
      return toPageBody(page, toMessageBody)
    },
  })

  app.route({
    method: 'PATCH',
    url: '/v1/sessions/:session_id/messages/:message_id',
    config: { access: tenantAccess('session:write') },
    schema: {
      operationId: 'updateMessage',
      summary: 'Pin or unpin a message',
      tags: ['context'],
      params: messageParams,
      headers: contextIfMatch,
      body: refTo<{ pinned: boolean }>('MessageChange'),
      response: { 200: withHeaders('Message', 'The message as it is now.', 'ETag'), ...bodyProblems(404, 409, 412) },
    },
    handler: async (request, reply) => {
      const { session_id: sessionId, message_id: messageId } = request.params
      const { message, context } = await contexts.setPinned(callerOf(request), {
        sessionId,
        messageId,
        pinned: request.body.pinned,
        expected: parseIfMatch(request.headers['if-match']),
      })
      return reply.header('ETag', etagOf(context.version)).send(toMessageBody(message))
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/sessions/:session_id/context',
    config: { access: tenantAccess('session:read') },
    schema: {
      operationId: 'getContext',
      summary: 'Get the context, ready to be sent to a chat endpoint',
      tags: ['context'],
      params: sessionParams,
      querystring: Type.Object({ format: Type.Optional(Type.Literal('openai')) }, { additionalProperties: false }),
      response: {
        200: withHeaders('Context', 'The context.', 'ETag'),
        ...problems(404),
      },
    },
    handler: async (request, reply) => {
      const { session, context } = await contexts.readSnapshot(callerOf(request), request.params.session_id)
      return reply.header('ETag', etagOf(context.version)).send({
        ...toMeasureBody(session.context),
        token_count_source: tokenCountSource,
        messages: renderContext(context),
      })
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/sessions/:session_id/context/reset',
    config: { access: tenantAccess('session:write') },
    schema: {
      operationId: 'resetContext',
      summary: 'Empty the context; system and pinned messages and long-term memory stay',
      tags: ['context'],
      params: sessionParams,
      headers: contextIfMatch,
      response: { 200: withHeaders('EditResult', 'What changed.', 'ETag'), ...bodyProblems(404, 409, 412) },
    },
    handler: async (request, reply) => {
      const { edit, session } = await contexts.reset(callerOf(request), {
        sessionId: request.params.session_id,
        expected: parseIfMatch(request.headers['if-match']),
      })
      return reply
        .header('ETag', etagOf(session.context.version))
        .send({ edit: edit === null ? null : toEditBody(edit), context: toMeasureBody(session.context) })
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/sessions/:session_id/edits',
    config: { access: tenantAccess('session:read') },
    schema: {
      operationId: 'listEdits',
      summary: 'List the edits of the context',
      tags: ['context'],
      params: sessionParams,
      querystring: pageQuerySchema,
      response: { 200: refTo<object>('EditPage'), ...problems(404) },
    },
    handler: async (request) => {
      const { session_id: sessionId } = request.params
      const page = await contexts.listEdits(callerOf(request), sessionId, pageRequestOf(request.query))
      return toPageBody(page, toEditBody)
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/sessions/:session_id/edits/:edit_id/undo',
    config: { access: tenantAccess('session:write') },
    schema: {
      operationId: 'undoEdit',
      summary: 'Undo an edit exactly',
      tags: ['context'],
      params: editParams,
      headers: contextIfMatch,
      response: { 200: withHeaders('Edit', 'The edit that undid it.', 'ETag'), ...bodyProblems(404, 409, 412) },
    },
    handler: async (request, reply) => {
      const { session_id: sessionId, edit_id: editId } = request.params
      const { edit, session } = await contexts.undo(callerOf(request), {
        sessionId,
        editId,
        expected: parseIfMatch(request.headers['if-match']),
      })
      void reply.header('ETag', etagOf(session.context.version))
      return toEditBody(edit)
    },
  })
}
