import { Type } from 'typebox'
import { type App, callerOf, secretOf, tenantAccess } from '../../http/route.ts'
import {
  bodyProblems,
  pageComponent,
  pageQuerySchema,
  pageRequestOf,
  problems,
  toPageBody,
  withHeaders,
} from '../../http/route-schemas.ts'
import { idPattern } from '../../shared/ids.ts'
import { refTo } from '../../shared/schema.ts'
import type { KeyService } from './key.service.ts'
import type { NewKeyBody } from './tenant.schemas.ts'
import type { TenantService } from './tenant.service.ts'
import { fromNewKeyBody, toAuditBody, toKeyBody, toUsageBody } from './tenant-body.ts'

const keyParams = Type.Object({ key_id: Type.String({ pattern: idPattern('key') }) })
const graceSecondsDefault = 86_400

export const registerKeyRoutes = (app: App, { keys, tenants }: { keys: KeyService; tenants: TenantService }): void => {
  app.addSchema(pageComponent('Key'))
  app.addSchema(pageComponent('AuditEvent'))

  app.route({
    method: 'POST',
    url: '/v1/keys',
    config: { access: tenantAccess('keys:manage') },
    schema: {
      operationId: 'createKey',
      summary: 'Create a key; it is shown in this answer only',
      tags: ['keys'],
      body: refTo<NewKeyBody>('NewKey'),
      response: { 201: withHeaders('Key', 'Created.', 'Location'), ...bodyProblems(409) },
    },
    handler: async (request, reply) => {
      const maker = { ...callerOf(request), secret: secretOf(request) }
      const created = await keys.create(maker, fromNewKeyBody(request.body))
      return reply.code(201).header('Location', `/v1/keys/${created.keyId}`).send(toKeyBody(created))
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/keys',
    config: { access: tenantAccess('keys:manage') },
    schema: {
      operationId: 'listKeys',
      summary: 'List keys',
      tags: ['keys'],
      querystring: pageQuerySchema,
      response: { 200: refTo<object>('KeyPage'), ...problems() },
    },
    handler: async (request) => toPageBody(await keys.list(callerOf(request), pageRequestOf(request.query)), toKeyBody),
  })

  app.route({
    method: 'POST',
    url: '/v1/keys/:key_id/rotate',
    config: { access: tenantAccess('keys:manage') },
    schema: {
      operationId: 'rotateKey',
      summary: 'Make a successor of a key; both live until the grace of the old one is over',
      tags: ['keys'],
      params: keyParams,
      body: Type.Unsafe<{ grace_seconds?: number } | null>(Type.Union([Type.Ref('KeyRotation'), Type.Null()])),
      response: { 201: withHeaders('Key', 'The successor.', 'Location'), ...bodyProblems(404, 409) },
    },
    handler: async (request, reply) => {
      const maker = { ...callerOf(request), secret: secretOf(request) }
      const graceSeconds = request.body?.grace_seconds ?? graceSecondsDefault
      const rotated = await keys.rotate(maker, { keyId: request.params.key_id, graceSeconds })
      return reply.code(201).header('Location', `/v1/keys/${rotated.keyId}`).send(toKeyBody(rotated))
    },
  })

  app.route({
    method: 'DELETE',
    url: '/v1/keys/:key_id',
    config: { access: tenantAccess('keys:manage') },
    schema: {
      operationId: 'revokeKey',
      summary: 'Revoke a key at once',
      tags: ['keys'],
      params: keyParams,
      response: { 204: Type.Null({ description: 'Revoked.' }), ...bodyProblems(404, 409) },
    },
    handler: async (request, reply) => {
      await keys.revoke(callerOf(request), request.params.key_id)
      return reply.code(204).send(null)
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/usage',
    config: { access: tenantAccess('usage:read') },
    schema: {
      operationId: 'getUsage',
      summary: 'What the tenant stores, beside its quotas',
      tags: ['usage'],
      response: { 200: refTo<object>('Usage'), ...problems() },
    },
    handler: async (request) => toUsageBody(await tenants.getUsage(callerOf(request))),
  })

  app.route({
    method: 'GET',
    url: '/v1/audit_events',
    config: { access: tenantAccess('audit:read') },
    schema: {
      operationId: 'listAuditEvents',
      summary: 'List actions on keys and on the tenant, and erasures of agents, the newest first',
      tags: ['usage'],
      querystring: pageQuerySchema,
      response: { 200: refTo<object>('AuditEventPage'), ...problems() },
    },
    handler: async (request) =>
      toPageBody(await tenants.listAuditEvents(callerOf(request), pageRequestOf(request.query)), toAuditBody),
  })
}
