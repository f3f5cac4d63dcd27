/** The whole app over a real database, without listening: requests go in by `inject`, answers conform to the reference. */
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import pino from 'pino'
import { type AppOptions, createApp } from '../../src/app.ts'
import { createMetrics } from '../../src/http/metrics.ts'
import { createOperatorSecret, hashOf } from '../../src/modules/tenant/key-secret.ts'
import { noQuotas } from '../../src/modules/tenant/tenant-types.ts'
import { type Scope, tenantScopes } from '../../src/shared/caller.ts'
import { type Conformance, createConformance } from './conformance.ts'
import { createTestModules, type ModuleOverrides, type TestModules } from './modules.ts'

export type Answer = LightMyRequestResponse & { readonly data: Record<string, never> & Record<string, unknown> }

export type TestApp = {
  readonly modules: TestModules
  readonly app: Awaited<ReturnType<typeof createApp>>['app']
  readonly life: Awaited<ReturnType<typeof createApp>>['life']
  readonly operatorKey: string
  /** A new tenant's key. */
  makeKey(options?: {
    scopes?: readonly Scope[]
    agentIds?: readonly string[]
    expiresAt?: string
    tenantId?: string
    quotas?: Record<string, number>
  }): Promise<{ readonly key: string; readonly tenantId: string }>
  request(key: string | null, options: InjectOptions): Promise<Answer>
  close(): Promise<void>
}

export type TestAppOverrides = ModuleOverrides & { readonly app?: Partial<AppOptions> }

/** The reference is the same for every app, and costly to make. */
let conformance: Conformance | undefined

export const createTestApp = async ({ app: options, ...overrides }: TestAppOverrides = {}): Promise<TestApp> => {
  const modules = await createTestModules(overrides)
  const { database, tenants } = modules
  const logger = pino({ level: 'silent' })
  const operatorKey = createOperatorSecret()
  const { app, life } = await createApp({
    modules,
    logger,
    metrics: createMetrics(),
    tokenCountSource: 'estimate',
    policyDefaults: { format: 'text', turnsMax: 5, deadlineMs: 20_000, temperature: 0, tokensMax: 256 },
    readOperatorKeyHash: async () => hashOf(operatorKey),
    healthParts: [{ name: 'database', isNeeded: true, check: () => database.checkHealth() }],
    connectionsMax: 1_024,
    connectionsPerAddressMax: 256,
    headersTimeoutMs: 10_000,
    slowClientMs: 10_000,
    clientBytesPerSecondMin: 1_024,
    requestsInFlightMax: 300,
    requestsInFlightPerTenantMax: 150,
    bodyBytesInFlightMax: 64 * 1024 * 1024,
    bodyBytesInFlightPerTenantMax: 32 * 1024 * 1024,
    requestsAtWorkMax: 64,
    requestsAtWorkPerTenantMax: 16,
    streamsInFlightMax: 40,
    streamsInFlightPerTenantMax: 20,
    requestTimeoutMs: 20_000,
    streamTimeoutMs: 60_000,
    defaultRatePerSecond: 0,
    authFailuresPerMinute: 100_000,
    metricsKey: null,
    bodyLimitBytes: 4 * 1024 * 1024,
    trustProxy: '',
    mcpOrigins: '',
    ...options,
  })
  await app.ready()
  conformance ??= createConformance(app.swagger())
  const ensureConforms = conformance
  const action = { actor: 'operator', requestId: 'req_test' }

  return {
    modules,
    app,
    life,
    operatorKey,
    makeKey: async ({ scopes = tenantScopes, agentIds, expiresAt, tenantId, quotas = {} } = {}) => {
      const owner =
        tenantId ?? (await tenants.create(action, { name: 'test', quotas: { ...noQuotas, ...quotas } })).tenantId
      const key = { name: 'test', scopes, agentIds: agentIds ?? null, expiresAt: expiresAt ?? null }
      const created = await tenants.createKey(action, { tenantId: owner, key })
      return { key: created.secret, tenantId: owner }
    },
    request: async (key, options) => {
      const headers = { ...(key === null ? {} : { authorization: `Bearer ${key}` }), ...options.headers }
      const response = await app.inject({ ...options, headers })
      ensureConforms(options, response)
      const isJson = String(response.headers['content-type'] ?? '').includes('json') && response.payload !== ''
      return Object.assign(response, { data: isJson && !response.payload.includes('\n{') ? response.json() : {} })
    },
    close: async () => {
      await app.close()
      await modules.close()
    },
  }
}
