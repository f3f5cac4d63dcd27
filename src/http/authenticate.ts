/**
 * Who asks. The tenant follows from the key alone. A route that declares no access stops the start, so none is public
 * by omission; a key that is bound to agents is held to them wherever a path names one.
 *
 * The order is what keeps strangers and tenants apart: the route, its access, the key, then a place among the tenant's
 * requests, and only then the body. Before the key was found good nothing is counted, reserved or read. Public pages have
 * places of their own; the look-up of a key, as all that follows, ends with the request's deadline.
 */
import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ensureAgentAllowed } from '../modules/agent/agent-access.ts'
import type { AuthenticatedKey, KeyService } from '../modules/tenant/key.service.ts'
import { hashOf, isSameHash } from '../modules/tenant/key-secret.ts'
import { tenantSuspended } from '../modules/tenant/tenant.errors.ts'
import type { Caller, IdempotencyClaim, Scope } from '../shared/caller.ts'
import type { Clock } from '../shared/clock.ts'
import { canonicalJson } from '../shared/json-limits.ts'
import { addressOwner } from './address.ts'
import { isStreamedBody } from './body-parsers.ts'
import type { Connections } from './connections.ts'
import { invalidIdempotencyKey, operatorNeeded, scopeMissing, tenantNeeded, unauthenticated } from './http-errors.ts'
import { rateLimited, tooManyWrongKeys } from './load-errors.ts'
import { createRateLimit } from './rate-limit.ts'
import type { RequestLife } from './request-life.ts'
import { secretOf, takesIdempotencyKey } from './route.ts'

export type AuthenticateOptions = {
  readonly keys: KeyService
  readonly readOperatorKeyHash: () => Promise<Buffer | null>
  readonly clock: Clock
  /** Rate of a tenant whose quota sets none; 0: no limit. */
  readonly defaultRatePerSecond: number
  /** Wrong keys from one address, at once and each minute, before they get a 429. */
  readonly authFailuresPerMinute: number
  /** Key that can read the metrics and nothing else. */
  readonly metricsKey: string | null
  readonly life: RequestLife
  readonly connections: Connections
}

/**
 * The client's Idempotency-Key with what it was sent with, where the route takes one (`takesIdempotencyKey`). Of a
 * stream the body is not known yet: there the key makes each line repeatable.
 */
export const idempotencyClaimOf = (request: FastifyRequest): IdempotencyClaim | null => {
  const key = request.headers['idempotency-key']
  if (key === undefined || !takesIdempotencyKey(request.method, request.routeOptions.config)) return null
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key)) throw invalidIdempotencyKey()
  const body = isStreamedBody(request.body) ? '' : canonicalJson(request.body ?? null)
  const hash = createHash('sha256').update(`${request.method} ${request.url}\n${body}`).digest()
  return { key, requestHash: hash }
}

const operatorCheck =
  (readOperatorKeyHash: () => Promise<Buffer | null>) =>
  async (secret: string): Promise<boolean> => {
    if (secret === '') return false
    const stored = await readOperatorKeyHash()
    return stored !== null && isSameHash(hashOf(secret), stored)
  }

export type Authentication = { readonly isOperator: (request: FastifyRequest) => Promise<boolean> }

export const registerAuthentication = (app: FastifyInstance, options: AuthenticateOptions): Authentication => {
  const { keys, life, connections, clock } = options
  app.decorateRequest('caller', null)
  app.decorateRequest('operator', null)

  app.addHook('onRoute', (route) => {
    if (route.config?.access === undefined) throw new Error(`${route.method} ${route.url} declares no access`)
  })

  const isOperatorKey = operatorCheck(options.readOperatorKeyHash)

  const isForMetrics = (secret: string): boolean =>
    options.metricsKey !== null && isSameHash(hashOf(secret), hashOf(options.metricsKey))

  const tenantRates = createRateLimit({ clock, refusal: rateLimited })
  const failureRates = createRateLimit({ clock, refusal: tooManyWrongKeys })
  const failures = { perSecond: options.authFailuresPerMinute / 60, burst: options.authFailuresPerMinute }

  /** @throws AppError `tenant.suspended` (403) to a key that is good but for that */
  const findKey = async (request: FastifyRequest, signal?: AbortSignal): Promise<AuthenticatedKey | null> => {
    const found = await keys.authenticate(secretOf(request), { from: addressOwner(request.ip), signal })
    if (found?.isSuspended) throw tenantSuspended()
    return found
  }

  /** Counted after the key was found wrong, so that it is never counted against who has a good one. */
  const refuse = (request: FastifyRequest): never => {
    if (secretOf(request) !== '') failureRates.take(addressOwner(request.ip), failures)
    throw unauthenticated()
  }

  const admitScraper = (request: FastifyRequest, reply: FastifyReply): void => {
    connections.know(request.raw, 'metrics')
    life.begin(request, reply, { kind: 'scraper', name: '' })
  }

  const admitOperator = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    if (!(await isOperatorKey(secretOf(request)))) {
      if ((await findKey(request, life.signalOf(request))) === null) return refuse(request)
      throw operatorNeeded()
    }
    connections.know(request.raw, 'operator')
    life.begin(request, reply, { kind: 'operator', name: '' })
    request.operator = { actor: 'operator', requestId: request.id, signal: life.signalOf(request), idempotency: null }
  }

  /** Asked by work that may go on when its request has ended. */
  const ensureLive = (request: FastifyRequest) => async (): Promise<void> => {
    if ((await findKey(request)) === null) throw unauthenticated()
  }

  const admitTenant = async (request: FastifyRequest, reply: FastifyReply, scopes: readonly Scope[]): Promise<void> => {
    const found = await findKey(request, life.signalOf(request))
    if (found === null) {
      if (await isOperatorKey(secretOf(request))) throw tenantNeeded()
      return refuse(request)
    }
    const { tenantId, key } = found
    connections.know(request.raw, `tenant ${tenantId}`)
    const rate = found.requestsPerSecond ?? options.defaultRatePerSecond
    if (rate > 0) tenantRates.take(tenantId, { perSecond: rate, burst: rate })
    if (!scopes.some((scope) => key.scopes.includes(scope))) throw scopeMissing(...scopes)
    life.begin(request, reply, { kind: 'tenant', name: tenantId })
    const caller: Caller = {
      tenantId,
      actor: key.keyId,
      keySpace: key.keySpace,
      scopes: key.scopes,
      agentIds: key.agentIds,
      requestId: request.id,
      signal: life.signalOf(request),
      idempotency: null,
      ensureLive: ensureLive(request),
    }
    const { agent_id: agentId } = request.params as { agent_id?: string }
    if (agentId !== undefined) ensureAgentAllowed(caller, agentId)
    request.caller = caller
  }

  app.addHook('onRequest', async (request, reply) => {
    const access = request.routeOptions.config.access
    if (access === undefined || access.kind === 'probe') return
    if (access.kind === 'public')
      return life.begin(request, reply, { kind: 'stranger', name: addressOwner(request.ip) })
    life.ensureTakes(reply)
    if (access.kind === 'tenant') return admitTenant(request, reply, [access.scope, ...access.orScopes])
    if (access.kind === 'metrics' && isForMetrics(secretOf(request))) return admitScraper(request, reply)
    await admitOperator(request, reply)
  })

  app.addHook('preHandler', async (request) => {
    const idempotency = idempotencyClaimOf(request)
    if (idempotency === null) return
    if (request.caller !== null) request.caller = { ...request.caller, idempotency }
    if (request.operator !== null) request.operator = { ...request.operator, idempotency }
  })

  return { isOperator: (request) => isOperatorKey(secretOf(request)) }
}
