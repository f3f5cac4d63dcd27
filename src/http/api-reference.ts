/**
 * The OpenAPI document, made from the routes' schemas, and the pages that show it. What every route has by what it
 * declares (whose key, which scope, the Idempotency-Key of a write) is added here and not repeated in the schemas.
 */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifySchema, RouteOptions } from 'fastify'
import { stringify } from 'yaml'
import { type Access, type App, publicAccess, takesIdempotencyKey } from './route.ts'
import { problemResponse } from './route-schemas.ts'

const tags = ['agents', 'memories', 'sessions', 'context', 'tools', 'policy', 'keys', 'usage', 'admin', 'process']

const document = {
  openapi: '3.1.0',
  info: {
    title: 'AgeMem',
    version: '1',
    description: "Memory for LLM agents, managed by the agent's own policy through six tools.",
    license: { name: 'MIT', identifier: 'MIT' },
  },
  servers: [{ url: '/', description: 'This service' }],
  tags: tags.map((name) => ({ name, description: `Operations on ${name}.` })),
  components: {
    securitySchemes: {
      key: { type: 'http' as const, scheme: 'bearer', description: "A tenant's key, `agm_…`." },
      operator_key: { type: 'http' as const, scheme: 'bearer', description: "The operator's key, `agmop_…`." },
    },
  },
  security: [{ key: [] }],
}

/** The pages load what this service brings and nothing from elsewhere. */
const pagesPolicy = {
  'default-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
  'img-src': ["'self'", 'data:'],
  'style-src': ["'self'", "'unsafe-inline'"],
}

const idempotencyKey = {
  type: 'string',
  minLength: 1,
  maxLength: 255,
  description:
    'Makes a retry safe: the same key and body answer what the first request answered, for 24 hours. Each API key has its own.',
}

const isWrite = (access: Access): boolean =>
  access.kind === 'operator' || (access.kind === 'tenant' && !access.scope.endsWith(':read'))

/** Adds to a route's schema what follows from what the route declares. */
const completed = (schema: FastifySchema, { method, config }: RouteOptions): FastifySchema => {
  const { access = publicAccess } = config ?? {}
  const takesKey = isWrite(access) && takesIdempotencyKey(method, config)
  const { properties, ...headers } = (schema.headers ?? { type: 'object' }) as { properties?: object }
  return {
    ...schema,
    ...(access.kind === 'operator' ? { security: [{ operator_key: [] }] } : {}),
    ...(access.kind === 'tenant' ? { description: `Scope: \`${access.scope}\`.` } : {}),
    ...(takesKey
      ? {
          headers: { ...headers, properties: { ...properties, 'idempotency-key': idempotencyKey } },
          response: { ...(schema.response as object), 410: problemResponse(410) },
        }
      : {}),
  }
}

/** To be called before the routes that the document describes. */
export const registerApiReference = async (app: App): Promise<void> => {
  await app.register(swagger, {
    openapi: document,
    refResolver: { buildLocalReference: (json, _base, _fragment, at) => String(json.$id ?? `Schema${at}`) },
    transform: ({ schema, url, route }) => ({ url, schema: schema?.hide ? schema : completed(schema ?? {}, route) }),
  })
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: pagesPolicy, uiConfig: { docExpansion: 'list' } })

  // Made once, and one buffer for however many read it and however slowly: anybody may ask.
  let json: Buffer | undefined
  let yaml: Buffer | undefined
  app.route({
    method: 'GET',
    url: '/openapi.json',
    config: { access: publicAccess },
    schema: { hide: true },
    handler: async (_request, reply) => {
      json ??= Buffer.from(JSON.stringify(app.swagger()))
      return reply.type('application/json').send(json)
    },
  })
  app.route({
    method: 'GET',
    url: '/openapi.yaml',
    config: { access: publicAccess },
    schema: { hide: true },
    handler: async (_request, reply) => {
      yaml ??= Buffer.from(stringify(app.swagger(), { aliasDuplicateObjects: false, lineWidth: 0 }))
      return reply.type('application/yaml').send(yaml)
    },
  })
}
