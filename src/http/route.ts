/**
 * What every route declares beside its schema. The edge refuses to start with a route that declares no access, so no
 * route is ever public by omission.
 */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {
  FastifyBaseLogger,
  FastifyContextConfig,
  FastifyInstance,
  FastifyRequest,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify'
import type { Caller, IdempotencyClaim, Scope } from '../shared/caller.ts'
import { brokenInvariant } from '../shared/errors.ts'

export type Access =
  /** On the written public list; no key needed. */
  | { readonly kind: 'public' }
  /** Public too, and never refused for want of a place: it answers at once, however many ask. */
  | { readonly kind: 'probe' }
  /** A tenant's key with this scope, or with one of the others. */
  | { readonly kind: 'tenant'; readonly scope: Scope; readonly orScopes: readonly Scope[] }
  /** The operator's key, which belongs to no tenant. */
  | { readonly kind: 'operator' }
  /** The operator's key, or the key of metrics, which can do nothing else. */
  | { readonly kind: 'metrics' }

export const publicAccess: Access = { kind: 'public' }
export const probeAccess: Access = { kind: 'probe' }
export const operatorAccess: Access = { kind: 'operator' }
export const metricsAccess: Access = { kind: 'metrics' }
export const tenantAccess = (scope: Scope, ...orScopes: readonly Scope[]): Access => ({
  kind: 'tenant',
  scope,
  orScopes,
})

export const isForAnybody = (access: Access | undefined): boolean =>
  access === undefined || access.kind === 'public' || access.kind === 'probe'

/** Every POST does but those that repeat safely, and a PATCH that says so; DELETE leaves nothing to do again. */
export const takesIdempotencyKey = (
  method: string | readonly string[],
  { repeatsSafely = false, isDoneOnce = false }: Pick<FastifyContextConfig, 'repeatsSafely' | 'isDoneOnce'> = {},
): boolean => (method === 'POST' && !repeatsSafely) || (method === 'PATCH' && isDoneOnce)

/** Set by src/http/authenticate.ts for routes of the operator. */
export type OperatorCaller = {
  readonly actor: 'operator'
  readonly requestId: string
  readonly signal: AbortSignal
  readonly idempotency: IdempotencyClaim | null
}

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
    /** Problem documents carry `error` as well, as OpenAI's clients read it. */
    errorForm?: 'openai'
    /** A POST that does the same when it is sent again, and so takes no Idempotency-Key. */
    repeatsSafely?: boolean
    /** A PATCH that takes an Idempotency-Key; the others set what they are given, as often as it is sent. */
    isDoneOnce?: boolean
  }
  interface FastifyRequest {
    caller: Caller | null
    operator: OperatorCaller | null
  }
}

/** The app as modules' routes see it: schemas typed by TypeBox. */
export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

/** The caller of a route with tenant access. */
export const callerOf = (request: Pick<FastifyRequest, 'caller'>): Caller => {
  if (request.caller === null) throw brokenInvariant('A route of tenants was reached without a caller.')
  return request.caller
}

export const operatorOf = (request: Pick<FastifyRequest, 'operator'>): OperatorCaller => {
  if (request.operator === null) throw brokenInvariant('A route of the operator was reached without its key.')
  return request.operator
}

/** The key itself, as the request carried it; empty without one. */
export const secretOf = ({ headers }: Pick<FastifyRequest, 'headers'>): string =>
  /^Bearer +([\x21-\x7e]{1,1024}) *$/i.exec(headers.authorization ?? '')?.[1] ?? ''
