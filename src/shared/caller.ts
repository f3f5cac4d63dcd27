import { createHash } from 'node:crypto'

/** Who asks: known from the key alone, never from a path, a body or a header. Every service verb takes it first. */
export const tenantScopes = [
  'memory:read',
  'memory:write',
  'session:read',
  'session:write',
  'policy:run',
  'trajectory:read',
  'trajectory:write',
  'rollout:run',
  'keys:manage',
  'usage:read',
  'audit:read',
] as const

export type Scope = (typeof tenantScopes)[number]

/** What the client sent as Idempotency-Key, with the SHA-256 of method, path and body. */
export type IdempotencyClaim = { readonly key: string; readonly requestHash: Buffer }

export type Caller = {
  readonly tenantId: string
  /** Key id, for audit and `changed_by`. */
  readonly actor: string
  /** Whose Idempotency-Keys it continues, where its key is a successor; absent: its own. */
  readonly keySpace?: string
  readonly scopes: readonly Scope[]
  /** Agents the key is bound to; null: every agent of the tenant. */
  readonly agentIds: readonly string[] | null
  readonly requestId: string
  /** Aborted when the client goes away or the request's deadline passes. */
  readonly signal: AbortSignal
  readonly idempotency: IdempotencyClaim | null
  /**
   * For work that goes on for long, between its pieces: whether the key is still good. Absent: nothing came with a key.
   * @throws AppError `auth.invalid_key` (401) when it was revoked or has expired meanwhile, `tenant.suspended` (403)
   */
  readonly ensureLive?: () => Promise<void>
}

/** Idempotency-Keys of two API keys never meet, but those of a key and its successors by rotation are the same. */
export const keySpaceOf = ({ keySpace, actor }: Pick<Caller, 'keySpace' | 'actor'>): string => keySpace ?? actor

/** Over REST the path says whose session a request is about; where headers say it, the claim has to cover them too. */
export const withBoundClaim = (caller: Caller, binding: object): Caller => {
  const { idempotency } = caller
  if (idempotency === null) return caller
  const hash = createHash('sha256').update(idempotency.requestHash).update(JSON.stringify(binding))
  return { ...caller, idempotency: { ...idempotency, requestHash: hash.digest() } }
}
