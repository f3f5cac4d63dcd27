/** Builds the HTTP app over the composed modules; never listens. */
import helmet from '@fastify/helmet'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyBaseLogger, type FastifyReply, type FastifyRequest, LogController } from 'fastify'
import type { Modules } from './compose.ts'
import { watchMethods } from './http/allowed-methods.ts'
import { registerAnswers } from './http/answers.ts'
import { registerApiReference } from './http/api-reference.ts'
import { type AuthenticateOptions, registerAuthentication } from './http/authenticate.ts'
import { registerBodyParsers } from './http/body-parsers.ts'
import { createClientErrorHandler, registerOddRequests } from './http/client-error.ts'
import { type Connections, type ConnectionsOptions, watchConnections } from './http/connections.ts'
import { logFailure } from './http/describe-error.ts'
import { createExports } from './http/exports.ts'
import { type HealthPart, registerHealthRoutes } from './http/health.ts'
import { clientGone, isOfClientGone, methodNotAllowed, routeNotFound, toAppError } from './http/http-errors.ts'
import type { Metrics } from './http/metrics.ts'
import type { PaceOptions } from './http/pace.ts'
import { openAiErrorOf, problemBodyOf } from './http/problem.ts'
import { type RequestLife, type RequestLifeOptions, registerRequestLife } from './http/request-life.ts'
import { type App, metricsAccess, publicAccess } from './http/route.ts'
import { problemSchema } from './http/route-schemas.ts'
import { registerSerializers } from './http/serializers.ts'
import { createValidatorCompiler } from './http/validators.ts'
import { createOriginCheck } from './mcp/origin.ts'
import { registerMcpRoutes } from './mcp/routes.ts'
import { registerAgentRoutes } from './modules/agent/agent.routes.ts'
import { registerChatRoutes } from './modules/chat/chat.routes.ts'
import { registerContextRoutes } from './modules/context/context.routes.ts'
import { fromMessageBodies } from './modules/context/context-body.ts'
import { registerIndexAdminRoutes } from './modules/indexing/index-admin.routes.ts'
import { registerMemoryRoutes } from './modules/memory/memory.routes.ts'
import { registerMemoryItemRoutes } from './modules/memory/memory-item.routes.ts'
import { registerMemoryTransferRoutes } from './modules/memory/memory-transfer.routes.ts'
import { registerPolicyRoutes } from './modules/policy/policy.routes.ts'
import type { PolicyDefaults } from './modules/policy/policy-body.ts'
import { registerSessionRoutes } from './modules/session/session.routes.ts'
import { registerKeyRoutes } from './modules/tenant/key.routes.ts'
import { registerTenantRoutes } from './modules/tenant/tenant.routes.ts'
import { registerTenantViewRoutes } from './modules/tenant/tenant-view.routes.ts'
import { registerToolRoutes } from './modules/tool/tool.routes.ts'
import { registerTrajectoryRoutes } from './modules/trajectory/trajectory.routes.ts'
import type { TokenCountSource } from './ports/tokenizer.ts'
import { systemClock } from './shared/clock.ts'
import { createId } from './shared/ids.ts'

export type AppOptions = RequestLifeOptions &
  ConnectionsOptions &
  PaceOptions &
  Pick<AuthenticateOptions, 'defaultRatePerSecond' | 'authFailuresPerMinute' | 'metricsKey' | 'readOperatorKeyHash'> & {
    readonly modules: Modules
    readonly tokenCountSource: TokenCountSource
    readonly policyDefaults: PolicyDefaults
    readonly healthParts: readonly HealthPart[]
    readonly metrics: Metrics
    readonly headersTimeoutMs: number
    readonly mcpOrigins: string
    readonly logger: FastifyBaseLogger
  }

export type BuiltApp = { readonly app: App; readonly life: RequestLife }

/** Answers are data: a browser that shows one loads nothing for it. */
const answersPolicy = { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] }
/** Agent ids have up to 128 characters, each of which may be percent-encoded. */
const paramLengthMax = 512
const requestIdPattern = /^[A-Za-z0-9._-]{1,64}$/

const sendProblem = (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
  const problem = toAppError(error)
  // Work that ended because its client left is no failure, whatever the work made of it.
  logFailure(request.log, reply.raw.destroyed && isOfClientGone(problem) ? clientGone() : problem)
  if (problem.status === 401) void reply.header('WWW-Authenticate', 'Bearer')
  // Who has asked for nothing that there is, or with no good key, is not waited for any more.
  if ([401, 404, 405].includes(problem.status) && request.caller === null && request.operator === null)
    void reply.header('Connection', 'close')
  if (problem.retryAfterSeconds !== undefined) void reply.header('Retry-After', problem.retryAfterSeconds)
  const isForOpenAi = request.routeOptions?.config?.errorForm === 'openai'
  // OpenAI's clients try again by status alone unless they are told.
  if (isForOpenAi) void reply.header('X-Should-Retry', String(problem.retryable))
  const openAiPart = isForOpenAi ? { error: openAiErrorOf(problem) } : {}
  return reply
    .header('X-Request-Id', request.id)
    .code(problem.status)
    .type('application/problem+json')
    .send(JSON.stringify({ ...problemBodyOf(problem, request.id), ...openAiPart }))
}

/** How often Node.js looks for requests that have not arrived in time. */
const connectionsCheckMs = 1_000
/** A request may be for a URI with its host, as one to a proxy is (RFC 9112, section 3.2.2). */
const absoluteForm = /^https?:\/\/[^/?#]*/i

const createInstance = (
  { logger, bodyLimitBytes, trustProxy, streamTimeoutMs, headersTimeoutMs }: AppOptions,
  isAnswering: Connections['isAnswering'],
) =>
  Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    bodyLimit: bodyLimitBytes,
    requestTimeout: streamTimeoutMs,
    // Requests under way are waited for before, while draining; what is left then is cut off.
    forceCloseConnections: true,
    return503OnClosing: false,
    routerOptions: { maxParamLength: paramLengthMax },
    rewriteUrl: ({ url = '/' }) => url.replace(absoluteForm, '').replace(/^(?=[?#]|$)/, '/'),
    clientErrorHandler: createClientErrorHandler(isAnswering),
    http: {
      // Node.js would refuse it without a problem document; the edge does it with one.
      requireHostHeader: false,
      headersTimeout: Math.min(headersTimeoutMs, streamTimeoutMs),
      connectionsCheckingInterval: connectionsCheckMs,
    },
    trustProxy: trustProxy === '' ? false : trustProxy.split(',').map((address) => address.trim()),
    genReqId: ({ headers }) => {
      const given = headers['x-request-id']
      return typeof given === 'string' && requestIdPattern.test(given) ? given : createId('req')
    },
    frameworkErrors: (error, request, reply) => {
      void sendProblem(error, request, reply as unknown as FastifyReply)
    },
  }).withTypeProvider<TypeBoxTypeProvider>()

/** Parameters arrive as text, so numbers and booleans are read from it; bodies are taken as they are. */
const coerced = (request: FastifyRequest): void => {
  const query = request.query as Record<string, unknown>
  if (typeof query.limit === 'string' && /^\d{1,9}$/.test(query.limit)) query.limit = Number(query.limit)
  if (query.has_reward === 'true' || query.has_reward === 'false') query.has_reward = query.has_reward === 'true'
}

const registerProblems = (app: App): void => {
  app.setErrorHandler(sendProblem)
  app.setNotFoundHandler(() => {
    throw routeNotFound()
  })
}

const registerHooks = (app: App, connections: Connections): void => {
  const methodsOf = watchMethods(app)
  app.addHook('onRequest', async (request, reply) => {
    if (!connections.answer(request.raw, reply.raw)) throw clientGone()
    void reply.header('X-Request-Id', request.id)
    coerced(request)
    if (!request.is404) return
    const methods = methodsOf(request.url)
    if (methods.length === 0) throw routeNotFound()
    void reply.header('Allow', methods.join(', '))
    if (request.method !== 'OPTIONS') throw methodNotAllowed(methods)
    return reply.code(204).send()
  })
  app.addHook('onResponse', async (request, reply) => {
    const { url, method } = request.routeOptions
    request.log.info({ method, route: url, status: reply.statusCode, ms: Math.round(reply.elapsedTime) }, 'answered')
  })
}

const registerMetricsRoute = (app: App, { metrics }: AppOptions): void => {
  app.route({
    method: 'GET',
    url: '/metrics',
    config: { access: metricsAccess },
    logLevel: 'warn',
    schema: { hide: true },
    handler: async (_request, reply) => reply.type(metrics.contentType).send(await metrics.render()),
  })
}

const registerModules = (app: App, options: AppOptions, { isAlone }: Pick<RequestLife, 'isAlone'>): void => {
  const { modules } = options
  const { contexts } = modules
  const exports = createExports({ isAlone })
  registerTenantRoutes(app, modules)
  registerKeyRoutes(app, modules)
  registerTenantViewRoutes(app, modules)
  registerAgentRoutes(app, modules)
  registerMemoryRoutes(app, modules)
  registerMemoryItemRoutes(app, modules)
  registerMemoryTransferRoutes(app, { ...modules, exports })
  registerIndexAdminRoutes(app, modules)
  registerSessionRoutes(app, {
    ...modules,
    startContext: (bodies) => contexts.startContext(fromMessageBodies(bodies, '/messages')),
  })
  registerContextRoutes(app, { contexts, tokenCountSource: options.tokenCountSource })
  registerToolRoutes(app, modules)
  registerTrajectoryRoutes(app, { ...modules, exports })
  registerMcpRoutes(app, { door: modules, isOriginAllowed: createOriginCheck(options.mcpOrigins) })
  registerPolicyRoutes(app, { ...modules, policyDefaults: options.policyDefaults })
  registerChatRoutes(app, { ...modules, policyDefaults: options.policyDefaults })
}

/** Connections are watched once there is a server, which is made with what it is told of them. */
const createServer = (options: AppOptions): { readonly app: App; readonly connections: Connections } => {
  let connections: Connections | null = null
  const app = createInstance(options, (socket) => connections?.isAnswering(socket) ?? false)
  connections = watchConnections(app.server, options)
  return { app, connections }
}

export const createApp = async (options: AppOptions): Promise<BuiltApp> => {
  const { app, connections } = createServer(options)
  const clock = systemClock
  app.setValidatorCompiler(createValidatorCompiler(app))
  registerProblems(app)
  registerHooks(app, connections)
  registerOddRequests(app)
  registerSerializers(app)
  registerAnswers(app, { ...options, clock })
  const life = registerRequestLife(app, options)
  options.metrics.register(app)
  await app.register(helmet, { contentSecurityPolicy: { useDefaults: false, directives: answersPolicy } })
  // What plugins bring of their own, such as the pages of the reference, is public; everything after says for itself.
  app.addHook('onRoute', (route) => {
    if (route.url.startsWith('/docs')) route.config = { ...route.config, access: publicAccess }
  })
  const { isOperator } = registerAuthentication(app, {
    ...options,
    keys: options.modules.keys,
    clock,
    life,
    connections,
  })
  registerBodyParsers(app, { ...options, clock, life })
  app.addSchema(problemSchema)
  await registerApiReference(app)
  registerHealthRoutes(app, { parts: options.healthParts, isDraining: life.isDraining, isOperator })
  registerMetricsRoute(app, options)
  registerModules(app, options, life)
  return { app, life }
}
