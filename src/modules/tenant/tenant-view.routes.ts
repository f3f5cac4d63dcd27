import { Type } from 'typebox'
import { type App, operatorAccess, operatorOf } from '../../http/route.ts'
import { bodyProblems, pageQuerySchema, pageRequestOf, problems, toPageBody } from '../../http/route-schemas.ts'
import { idPattern } from '../../shared/ids.ts'
import { refTo } from '../../shared/schema.ts'
import type { KeyService } from './key.service.ts'
import { makerOf } from './operator-action.ts'
import { tenantParams } from './tenant.routes.ts'
import type { TenantService } from './tenant.service.ts'
import { toAuditBody, toKeyBody, toUsageBody } from './tenant-body.ts'

const keyParams = Type.Object({ ...tenantParams.properties, key_id: Type.String({ pattern: idPattern('key') }) })

/** What a tenant does with its own keys, usage and audit, for the operator, also where the tenant has no key any more. */
export const registerTenantViewRoutes = (
  app: App,
  { keys, tenants }: { keys: KeyService; tenants: TenantService },
): void => {
  app.route({
    method: 'GET',
    url: '/v1/admin/tenants/:tenant_id/usage',
    config: { access: operatorAccess },
    schema: {
      operationId: 'getTenantUsage',
      summary: 'What a tenant stores, beside its quotas',
      tags: ['admin'],
      params: tenantParams,
      response: { 200: refTo<object>('Usage'), ...problems(404) },
    },
    handler: async (request) =>
      toUsageBody(await tenants.getUsage(makerOf(operatorOf(request), request.params.tenant_id))),
  })

  app.route({
    method: 'GET',
    url: '/v1/admin/tenants/:tenant_id/keys',
    config: { access: operatorAccess },
    schema: {
      operationId: 'listTenantKeys',
      summary: 'List the keys of a tenant, without the keys themselves',
      tags: ['admin'],
      params: tenantParams,
      querystring: pageQuerySchema,
      response: { 200: refTo<object>('KeyPage'), ...problems(404) },
    },
    handler: async (request) => {
      const { tenantId } = await tenants.get(request.params.tenant_id)
      return toPageBody(
        await keys.list(makerOf(operatorOf(request), tenantId), pageRequestOf(request.query)),
        toKeyBody,
      )
    },
  })

  app.route({
    method: 'DELETE',
    url: '/v1/admin/tenants/:tenant_id/keys/:key_id',
    config: { access: operatorAccess },
    schema: {
      operationId: 'revokeTenantKey',
      summary: 'Revoke a key of a tenant at once, also the last one that can make keys',
      tags: ['admin'],
      params: keyParams,
      response: { 204: Type.Null({ description: 'Revoked.' }), ...bodyProblems(404) },
    },
    handler: async (request, reply) => {
      const { tenant_id: tenantId, key_id: keyId } = request.params
      await tenants.get(tenantId)
      await keys.revokeForOperator(makerOf(operatorOf(request), tenantId), keyId)
      return reply.code(204).send(null)
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/admin/tenants/:tenant_id/audit_events',
    config: { access: operatorAccess },
    schema: {
      operationId: 'listTenantAuditEvents',
      summary: 'List actions on a tenant, its keys and agents, the newest first; of a deleted tenant they name nobody',
      tags: ['admin'],
      params: tenantParams,
      querystring: pageQuerySchema,
      response: { 200: refTo<object>('AuditEventPage'), ...problems(404) },
    },
    handler: async (request) => {
      const { tenantId } = await tenants.get(request.params.tenant_id)
      const caller = makerOf(operatorOf(request), tenantId)
      return toPageBody(await tenants.listAuditEvents(caller, pageRequestOf(request.query)), toAuditBody)
    },
  })
}
