/**
 * Who asks. The tenant follows from the key alone. A route that declares no access stops the start, so none is public
 * by omission; a key that is bound to agents is held to them wherever a path names one.
 */
import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ensureAgentAllowed } from '../modules/agent/agent-access.ts'
import type { KeyService } from '../modules/tenant/key.service.ts'
import { hashOf, isSameHash } from '../modules/tenant/key-secret.ts'
import type { Caller, IdempotencyClaim } from '../shared/caller.ts'
import { canonicalJson } from '../shared/json-limits.ts'
import { invalidIdempotencyKey, operatorNeeded, scopeMissing, tenantNeeded, unauthenticated } from './http-errors.ts'
import type { RateLimit } from './rate-limit.ts'
import { type Access, secretOf } from './route.ts'

export type AuthenticateOptions = {
  readonly keys: KeyService
  readonly readOperatorKeyHash: () => Promise<Buffer | null>
  readonly rateLimit: RateLimit
  /** Rate of a tenant whose quota sets none; 0: no limit. */
  readonly defaultRatePerSecond: number
  readonly authFailuresPerMinute: number
  readonly signalOf: (request: FastifyRequest) => AbortSignal
}

const isStream = (body: unknown): boolean => typeof (body as { pipe?: unknown } | null)?.pipe === 'function'

/** The client's Idempotency-Key with what it was sent with; on POST alone, since all other methods repeat safely. */
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

  const fail = (request: FastifyRequest): never => {
    rateLimit.take(`failed ${request.ip}`, options.authFailuresPerMinute / 60)
    throw unauthenticated()
  }

  const admitOperator = async (request: FastifyRequest, secret: string): Promise<void> => {
    if (!(await isOperator(secret))) {
      if ((await keys.authenticate(secret)) === null) fail(request)
      throw operatorNeeded()
    }
    request.operator = { actor: 'operator', requestId: request.id, signal: options.signalOf(request) }
  }

  const admitTenant = async (request: FastifyRequest, access: Access & { kind: 'tenant' }): Promise<void> => {
    const secret = secretOf(request)
    const found = await keys.authenticate(secret)
    if (found === null) {
      if (await isOperator(secret)) throw tenantNeeded()
      return fail(request)
    }
    const rate = found.requestsPerSecond ?? options.defaultRatePerSecond
    if (rate > 0) rateLimit.take(found.tenantId, rate)
    if (!found.key.scopes.includes(access.scope)) throw scopeMissing(access.scope)
    const caller: Caller = {
      tenantId: found.tenantId,
      actor: found.key.keyId,
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
    if (access.kind === 'operator') await admitOperator(request, secretOf(request))
    else await admitTenant(request, access)
  })

  app.addHook('preHandler', async (request) => {
    if (request.caller === null) return
    const idempotency = idempotencyClaimOf(request)
    if (idempotency !== null) request.caller = { ...request.caller, idempotency }
  })
}
