import { Type } from 'typebox'
import { type App, operatorAccess, operatorOf, secretOf } from '../../http/route.ts'
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
import { fromRetentionBody } from './retention-body.ts'
import { type NewKeyBody, type QuotasBody, type RetentionBody, tenantComponents } from './tenant.schemas.ts'
import type { TenantService } from './tenant.service.ts'
import { fromNewKeyBody, fromQuotasBody, toKeyBody, toTenantBody } from './tenant-body.ts'
import { noQuotas, type SettableStatus } from './tenant-types.ts'

export const tenantParams = Type.Object({ tenant_id: Type.String({ pattern: idPattern('ten') }) })

export const registerTenantRoutes = (app: App, { tenants }: { tenants: TenantService }): void => {
  for (const component of [...tenantComponents, pageComponent('Tenant')]) app.addSchema(component)
  const tenantBody = refTo<object>('Tenant')

  app.route({
    method: 'POST',
    url: '/v1/admin/tenants',
    config: { access: operatorAccess },
    schema: {
      operationId: 'createTenant',
      summary: 'Create a tenant',
      tags: ['admin'],
      body: refTo<{ name: string; quotas?: QuotasBody; retention?: RetentionBody }>('NewTenant'),
      response: { 201: withHeaders('Tenant', 'Created.', 'Location'), ...bodyProblems(409) },
    },
    handler: async (request, reply) => {
      const quotas = { ...noQuotas, ...fromQuotasBody(request.body.quotas) }
      const retention = fromRetentionBody(request.body.retention)
      const tenant = await tenants.create(operatorOf(request), { name: request.body.name, quotas, retention })
      return reply.code(201).header('Location', `/v1/admin/tenants/${tenant.tenantId}`).send(toTenantBody(tenant))
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/admin/tenants',
    config: { access: operatorAccess },
    schema: {
      operationId: 'listTenants',
      summary: 'List tenants',
      tags: ['admin'],
      querystring: pageQuerySchema,
      response: { 200: refTo<object>('TenantPage'), ...problems() },
    },
    handler: async (request) => toPageBody(await tenants.list(pageRequestOf(request.query)), toTenantBody),
  })

  app.route({
    method: 'GET',
    url: '/v1/admin/tenants/:tenant_id',
    config: { access: operatorAccess },
    schema: {
      operationId: 'getTenant',
      summary: 'Get a tenant',
      tags: ['admin'],
      params: tenantParams,
      response: { 200: tenantBody, ...problems(404) },
    },
    handler: async (request) => toTenantBody(await tenants.get(request.params.tenant_id)),
  })

  app.route({
    method: 'PATCH',
    url: '/v1/admin/tenants/:tenant_id',
    config: { access: operatorAccess },
    schema: {
      operationId: 'updateTenant',
      summary: "Change a tenant's name, quotas, retention or status; what is not given stays",
      tags: ['admin'],
      params: tenantParams,
      body: refTo<{ name?: string; quotas?: QuotasBody; retention?: RetentionBody; status?: SettableStatus }>(
        'TenantChange',
      ),
      response: { 200: tenantBody, ...bodyProblems(404, 409) },
    },
    handler: async (request) => {
      const { name, quotas, retention, status } = request.body
      const { tenant_id: tenantId } = request.params
      const change = { tenantId, name, quotas: fromQuotasBody(quotas), retention: retention ?? {}, status }
      return toTenantBody(await tenants.update(operatorOf(request), change))
    },
  })

  app.route({
    method: 'DELETE',
    url: '/v1/admin/tenants/:tenant_id',
    config: { access: operatorAccess },
    schema: {
      operationId: 'deleteTenant',
      summary: 'Delete a tenant with everything it has; its keys are dead at once',
      tags: ['admin'],
      params: tenantParams,
      response: { 202: tenantBody, ...bodyProblems(404) },
    },
    handler: async (request, reply) =>
      reply.code(202).send(toTenantBody(await tenants.delete(operatorOf(request), request.params.tenant_id))),
  })

  app.route({
    method: 'POST',
    url: '/v1/admin/tenants/:tenant_id/keys',
    config: { access: operatorAccess },
    schema: {
      operationId: 'createTenantKey',
      summary: 'Create a key of a tenant; it is shown in this answer only',
      tags: ['admin'],
      params: tenantParams,
      body: refTo<NewKeyBody>('NewKey'),
      response: { 201: withHeaders('Key', 'Created.', 'Location'), ...bodyProblems(404, 409) },
    },
    handler: async (request, reply) => {
      const { tenant_id: tenantId } = request.params
      const created = await tenants.createKey(
        { ...operatorOf(request), secret: secretOf(request) },
        { tenantId, key: fromNewKeyBody(request.body) },
      )
      return reply.code(201).header('Location', `/v1/keys/${created.keyId}`).send(toKeyBody(created))
    },
  })
}
