/** The whole HTTP app over the test modules: a tenant with a key of all scopes, the operator, and ways to ask. */
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import pino, { type Logger } from 'pino'
import { type AppOptions, type BuiltApp, createApp } from '../../src/app.ts'
import { createMetrics } from '../../src/http/metrics.ts'
import { createKeyService, type KeyService } from '../../src/modules/tenant/key.service.ts'
import { createOperatorSecret, hashOf } from '../../src/modules/tenant/key-secret.ts'
import { createQuotaGuard } from '../../src/modules/tenant/quota.ts'
import { createTenantService, type TenantService } from '../../src/modules/tenant/tenant.service.ts'
import { tenantScopes } from '../../src/shared/caller.ts'
import { createId } from '../../src/shared/ids.ts'
import { createTestModules, type TestModules } from './modules.ts'

export type Ask = Omit<InjectOptions, 'url' | 'method' | 'body'> & {
  /** Bearer key; null: none. Without it, the first tenant's key of all scopes. */
  readonly key?: string | null
  readonly body?: unknown
}

export type TestTenant = { readonly tenantId: string; readonly key: string }

export type TestApp = BuiltApp & {
  readonly modules: TestModules
  readonly keys: KeyService
  readonly tenants: TenantService
  readonly operatorKey: string
  readonly tenant: TestTenant
  makeTenant(): Promise<TestTenant>
  /** `ask('POST /v1/sessions', { body: {…} })` */
  ask(operation: string, ask?: Ask): Promise<LightMyRequestResponse>
  close(): Promise<void>
}

export type TestAppOptions = Partial<AppOptions> & { readonly keyCacheMs?: number }

const operator = { actor: 'operator', requestId: 'req_test' }
const noQuotas = { requestsPerSecond: null, memoriesMax: null, storedBytesMax: null, modelTokensPerDayMax: null }
const quiet: Logger = pino({ level: 'silent' })

const createServices = (modules: TestModules, keyCacheMs: number) => {
  const { database, clock, idempotency } = modules
  const quota = createQuotaGuard({ database, clock })
  const keys = createKeyService({ database, idempotency, clock, createId, cacheMs: keyCacheMs })
  const tenants = createTenantService({
    database,
    createId,
    logger: quiet,
    eraseAgents: modules.agents.eraseAll,
    onChange: (tenantId) => {
      keys.forgetVerified()
      quota.forget(tenantId)
    },
  })
  return { keys, tenants }
}

export const createTestApp = async ({ keyCacheMs = 1_000, ...overrides }: TestAppOptions = {}): Promise<TestApp> => {
  const modules = await createTestModules()
  const { keys, tenants } = createServices(modules, keyCacheMs)
  const operatorKey = createOperatorSecret()
  const built = await createApp({
    modules,
    keys,
    tenants,
    tokenCountSource: 'estimate',
    healthParts: [{ name: 'database', isNeeded: true, check: () => modules.database.checkHealth() }],
    metrics: createMetrics(),
    bodyLimitBytes: 4_194_304,
    trustProxy: '',
    logger: quiet,
    requestsInFlightMax: 512,
    requestTimeoutMs: 30_000,
    streamTimeoutMs: 60_000,
    defaultRatePerSecond: 0,
    authFailuresPerMinute: 600,
    readOperatorKeyHash: async () => hashOf(operatorKey),
    ...overrides,
  })
  const makeTenant = async (): Promise<TestTenant> => {
    const { tenantId } = await tenants.create(operator, { name: 'a tenant', quotas: noQuotas })
    const key = { name: 'all scopes', scopes: tenantScopes, agentIds: null, expiresAt: null }
    return { tenantId, key: (await tenants.createKey(operator, { tenantId, key })).secret }
  }
  const tenant = await makeTenant()
  return {
    ...built,
    modules,
    keys,
    tenants,
    operatorKey,
    tenant,
    makeTenant,
    ask: (operation, { key = tenant.key, body, headers = {}, ...rest } = {}) => {
      const [method, url] = operation.split(' ') as [InjectOptions['method'] & string, string]
      return built.app.inject({
        method: method as 'GET',
        url,
        ...rest,
        headers: { ...(key === null ? {} : { authorization: `Bearer ${key}` }), ...headers },
        ...(body === undefined ? {} : { payload: body as object }),
      })
    },
    close: async () => {
      await built.app.close()
      await modules.close()
    },
  }
}
