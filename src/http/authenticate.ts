/**
 * Who asks. The tenant follows from the key alone. A route that declares no access stops the start, so none is public
 * by omission; a key that is bound to agents is held to them wherever a path names one.
 */
import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ensureAgentAllowed } from '../modules/agent/agent-access.ts'
import type { KeyService } from '../modules/tenant/key.service.ts'
import { hashOf, isSameHash } from '../modules/tenant/key-secret.ts'
import type { Caller, IdempotencyClaim, Scope } from '../shared/caller.ts'
import { canonicalJson } from '../shared/json-limits.ts'
import { isStream } from './body-parsers.ts'
import { invalidIdempotencyKey, operatorNeeded, scopeMissing, tenantNeeded, unauthenticated } from './http-errors.ts'
import type { RateLimit } from './rate-limit.ts'
import { secretOf } from './route.ts'

export type AuthenticateOptions = {
  readonly keys: KeyService
  readonly readOperatorKeyHash: () => Promise<Buffer | null>
  readonly rateLimit: RateLimit
  /** Rate of a tenant whose quota sets none; 0: no limit. */
  readonly defaultRatePerSecond: number
  /** Wrong keys from one address, at once and each minute, before it is refused unseen. */
  readonly authFailuresPerMinute: number
  /** Key that can read the metrics and nothing else. */
  readonly metricsKey: string | null
  readonly signalOf: (request: FastifyRequest) => AbortSignal
}

/**
 * The client's Idempotency-Key with what it was sent with; on POST alone, since all other methods repeat safely. Of a
 * stream the body is not known yet: there the key makes each line repeatable.
 */
export const idempotencyClaimOf = (request: FastifyRequest): IdempotencyClaim | null => {
  const key = request.headers['idempotency-key']
  if (key === undefined || request.method !== 'POST') return null
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key)) throw invalidIdempotencyKey()
  const body = isStream(request.body) ? '' : canonicalJson(request.body ?? null)
  const hash = createHash('sha256').update(`${request.method} ${request.url}\n${body}`).digest()
  return { key, requestHash: hash }
}

export const registerAuthentication = (app: FastifyInstance, options: AuthenticateOptions): void => {
  const { keys, rateLimit } = options
  app.decorateRequest('caller', null)
  app.decorateRequest('operator', null)

  app.addHook('onRoute', (route) => {
    if (route.config?.access === undefined) throw new Error(`${route.method} ${route.url} declares no access`)
  })

  const isOperator = async (secret: string): Promise<boolean> => {
    if (secret === '') return false
    const stored = await options.readOperatorKeyHash()
    return stored !== null && isSameHash(hashOf(secret), stored)
  }

  const isForMetrics = (secret: string): boolean =>
    options.metricsKey !== null && isSameHash(hashOf(secret), hashOf(options.metricsKey))

  const failures = { perSecond: options.authFailuresPerMinute / 60, burst: options.authFailuresPerMinute }
  const failuresOf = ({ ip }: FastifyRequest) => `failures ${ip}`

  /** A key that nobody has. Those count, since each costs a look-up; a missing key costs nothing. */
  const refuse = (request: FastifyRequest, secret: string): never => {
    if (secret !== '') rateLimit.take(failuresOf(request), failures)
    throw unauthenticated()
  }

  const admitOperator = async (request: FastifyRequest, secret: string): Promise<void> => {
    if (!(await isOperator(secret))) {
      if ((await keys.authenticate(secret)) === null) return refuse(request, secret)
      throw operatorNeeded()
    }
    request.operator = {
      actor: 'operator',
      requestId: request.id,
      signal: options.signalOf(request),
      idempotency: null,
    }
  }

  const admitTenant = async (request: FastifyRequest, scopes: readonly Scope[]): Promise<void> => {
    const secret = secretOf(request)
    const found = await keys.authenticate(secret)
    if (found === null) {
      if (await isOperator(secret)) throw tenantNeeded()
      return refuse(request, secret)
    }
    const rate = found.requestsPerSecond ?? options.defaultRatePerSecond
    if (rate > 0) rateLimit.take(`tenant ${found.tenantId}`, { perSecond: rate, burst: rate })
    if (!scopes.some((scope) => found.key.scopes.includes(scope))) throw scopeMissing(...scopes)
    const caller: Caller = {
      tenantId: found.tenantId,
      actor: found.key.keyId,
      keySpace: found.key.keySpace,
      scopes: found.key.scopes,
      agentIds: found.key.agentIds,
      requestId: request.id,
      signal: options.signalOf(request),
      idempotency: null,
    }
    const { agent_id: agentId } = request.params as { agent_id?: string }
    if (agentId !== undefined) ensureAgentAllowed(caller, agentId)
    request.caller = caller
  }

  app.addHook('onRequest', async (request) => {
    const access = request.routeOptions.config.access
    if (access === undefined || access.kind === 'public') return
    const secret = secretOf(request)
    if (secret !== '') rateLimit.ensureLeft(failuresOf(request), failures)
    if (access.kind === 'tenant') return admitTenant(request, [access.scope, ...access.orScopes])
    if (access.kind === 'metrics' && isForMetrics(secret)) return
    await admitOperator(request, secret)
  })

  app.addHook('preHandler', async (request) => {
    const idempotency = idempotencyClaimOf(request)
    if (idempotency === null) return
    if (request.caller !== null) request.caller = { ...request.caller, idempotency }
    if (request.operator !== null) request.operator = { ...request.operator, idempotency }
  })
}
