/** Builds the HTTP app over the composed modules; never listens. */
import helmet from '@fastify/helmet'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyBaseLogger, type FastifyRequest } from 'fastify'
import { stringify } from 'yaml'
import type { Modules } from './compose.ts'
import { type AuthenticateOptions, registerAuthentication } from './http/authenticate.ts'
import { type HealthPart, registerHealthRoutes } from './http/health.ts'
import { routeNotFound, toAppError, unsafeText } from './http/http-errors.ts'
import type { Metrics } from './http/metrics.ts'
import { problemBodyOf } from './http/problem.ts'
import { createRateLimit } from './http/rate-limit.ts'
import { type RequestLife, type RequestLifeOptions, registerRequestLife } from './http/request-life.ts'
import { type App, operatorAccess, publicAccess } from './http/route.ts'
import { problemSchema } from './http/route-schemas.ts'
import { registerAgentRoutes } from './modules/agent/agent.routes.ts'
import { fromMessageBody } from './modules/context/context-body.ts'
import { registerContextRoutes } from './modules/context/context.routes.ts'
import { registerMemoryRoutes } from './modules/memory/memory.routes.ts'
import { registerMemoryAdminRoutes } from './modules/memory/memory-admin.routes.ts'
import { registerMemoryTransferRoutes } from './modules/memory/memory-transfer.routes.ts'
import { registerSessionRoutes } from './modules/session/session.routes.ts'
import type { KeyService } from './modules/tenant/key.service.ts'
import { registerKeyRoutes } from './modules/tenant/key.routes.ts'
import { registerTenantRoutes } from './modules/tenant/tenant.routes.ts'
import type { TenantService } from './modules/tenant/tenant.service.ts'
import { registerToolRoutes } from './modules/tool/tool.routes.ts'
import type { TokenCountSource } from './ports/tokenizer.ts'
import { systemClock } from './shared/clock.ts'
import { createId } from './shared/ids.ts'
import { findUnsafeText } from './shared/json-limits.ts'

export type AppOptions = RequestLifeOptions &
  Pick<AuthenticateOptions, 'defaultRatePerSecond' | 'authFailuresPerMinute' | 'readOperatorKeyHash'> & {
    readonly modules: Modules
    readonly keys: KeyService
    readonly tenants: TenantService
    readonly tokenCountSource: TokenCountSource
    readonly healthParts: readonly HealthPart[]
    readonly metrics: Metrics
    readonly bodyLimitBytes: number
    readonly trustProxy: string
    readonly logger: FastifyBaseLogger
  }

export type BuiltApp = { readonly app: App; readonly life: RequestLife }

const requestIdPattern = /^[A-Za-z0-9._-]{1,64}$/

const createInstance = ({ logger, bodyLimitBytes, trustProxy, streamTimeoutMs }: AppOptions) =>
  Fastify({
    loggerInstance: logger,
    disableRequestLogging: true,
    bodyLimit: bodyLimitBytes,
    requestTimeout: streamTimeoutMs,
    trustProxy: trustProxy === '' ? false : trustProxy.split(',').map((address) => address.trim()),
    genReqId: ({ headers }) => {
      const given = headers['x-request-id']
      return typeof given === 'string' && requestIdPattern.test(given) ? given : createId('req')
    },
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, allErrors: false, useDefaults: false } },
    frameworkErrors: (error, request, reply) => {
      const problem = toAppError(error)
      const body = JSON.stringify(problemBodyOf(problem, request.id))
      reply.raw.writeHead(problem.status, { 'content-type': 'application/problem+json' }).end(body)
      reply.hijack()
    },
  }).withTypeProvider<TypeBoxTypeProvider>()

/** Parameters arrive as text, so numbers and booleans are read from it; bodies are taken as they are. */
const coerced = (request: FastifyRequest): void => {
  const query = request.query as Record<string, unknown>
  if (typeof query.limit === 'string' && /^\d{1,9}$/.test(query.limit)) query.limit = Number(query.limit)
}

const registerParsers = (app: App): void => {
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, null)
    else parseJson(request, body as string, done)
  })
  app.addContentTypeParser('application/x-ndjson', { bodyLimit: Number.MAX_SAFE_INTEGER }, (_request, stream, done) =>
    done(null, stream),
  )
}

const registerProblems = (app: App): void => {
  app.setErrorHandler((error, request, reply) => {
    const problem = toAppError(error)
    if (problem.status >= 500) request.log.error({ err: problem, cause: problem.cause }, problem.code)
    if (problem.status === 401) void reply.header('WWW-Authenticate', 'Bearer')
    if (problem.retryAfterSeconds !== undefined) void reply.header('Retry-After', problem.retryAfterSeconds)
    return reply.code(problem.status).type('application/problem+json').send(problemBodyOf(problem, request.id))
  })
  app.setNotFoundHandler(() => {
    throw routeNotFound()
  })
}

const registerHooks = (app: App): void => {
  app.addHook('onRequest', async (request, reply) => {
    void reply.header('X-Request-Id', request.id)
    coerced(request)
  })
  app.addHook('preValidation', async ({ body }) => {
    if (body === null || body === undefined || typeof (body as { pipe?: unknown }).pipe === 'function') return
    const unsafe = findUnsafeText(body)
    if (unsafe !== null) throw unsafeText(unsafe)
  })
  app.addHook('onResponse', async (request, reply) => {
    const { url, method } = request.routeOptions
    request.log.info(
      { method, route: url, status: reply.statusCode, ms: Math.round(reply.elapsedTime) },
      'answered',
    )
  })
}

const registerReference = async (app: App): Promise<void> => {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'AgeMem',
        version: '1',
        description: "Memory for LLM agents, managed by the agent's own policy through six tools.",
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/', description: 'This service' }],
      tags: ['agents', 'memories', 'sessions', 'context', 'tools', 'keys', 'usage', 'admin', 'process'].map((name) => ({
        name,
        description: `Operations on ${name}.`,
      })),
      components: { securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'A key.' } } },
      security: [{ key: [] }],
    },
    refResolver: { buildLocalReference: (json, _base, _fragment, at) => String(json.$id ?? `Schema${at}`) },
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    uiConfig: { docExpansion: 'list' },
  })
}

const registerProcessRoutes = (app: App, { metrics }: AppOptions): void => {
  let yaml: string | undefined
  const renderYaml = () => {
    yaml ??= stringify(app.swagger(), { aliasDuplicateObjects: false, lineWidth: 0 })
    return yaml
  }
  app.route({
    method: 'GET',
    url: '/metrics',
    config: { access: operatorAccess },
    logLevel: 'warn',
    schema: { hide: true },
    handler: async (_request, reply) => reply.type(metrics.contentType).send(await metrics.render()),
  })
  app.route({
    method: 'GET',
    url: '/openapi.json',
    config: { access: publicAccess },
    schema: { hide: true },
    handler: async (_request, reply) => reply.type('application/json').send(JSON.stringify(app.swagger())),
  })
  app.route({
    method: 'GET',
    url: '/openapi.yaml',
    config: { access: publicAccess },
    schema: { hide: true },
    handler: async (_request, reply) => reply.type('application/yaml').send(renderYaml()),
  })
}

const registerModules = (app: App, options: AppOptions): void => {
  const { modules, keys, tenants } = options
  const { contexts } = modules
  registerTenantRoutes(app, { tenants })
  registerKeyRoutes(app, { keys, tenants })
  registerAgentRoutes(app, modules)
  registerMemoryRoutes(app, modules)
  registerMemoryTransferRoutes(app, modules)
  registerMemoryAdminRoutes(app, modules)
  registerSessionRoutes(app, { ...modules, startContext: (bodies) => contexts.startContext(bodies.map(fromMessageBody)) })
  registerContextRoutes(app, { contexts, tokenCountSource: options.tokenCountSource })
  registerToolRoutes(app, modules)
}

export const createApp = async (options: AppOptions): Promise<BuiltApp> => {
  const app: App = createInstance(options)
  registerParsers(app)
  registerProblems(app)
  registerHooks(app)
  const life = registerRequestLife(app, options)
  options.metrics.register(app)
  await app.register(helmet, { contentSecurityPolicy: false })
  // What plugins bring of their own, such as the pages of the reference, is public; everything after says for itself.
  app.addHook('onRoute', (route) => {
    if (route.url.startsWith('/docs')) route.config = { ...route.config, access: publicAccess }
  })
  registerAuthentication(app, {
    ...options,
    rateLimit: createRateLimit({ clock: systemClock }),
    signalOf: life.signalOf,
  })
  app.addSchema(problemSchema)
  await registerReference(app)
  registerHealthRoutes(app, { parts: options.healthParts, isDraining: life.isDraining })
  registerProcessRoutes(app, options)
  registerModules(app, options)
  return { app, life }
}
