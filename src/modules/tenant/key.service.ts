import { randomBytes } from 'node:crypto'
import type { Database, TenantTransaction } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import type { Clock } from '../../shared/clock.ts'
import type { CreateId } from '../../shared/ids.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../../shared/page.ts'
import type { Idempotency } from '../idempotency/idempotency.service.ts'
import { expireKey, findKey, findLiveKey, insertKey, type LiveKey, listKeys, revokeKey } from './key.repository.ts'
import { createTenantSecret, deriveTenantSecret, hashOf, isSameHash, tenantOfSecret } from './key-secret.ts'
import { keyNotFound, keyNotLive, scopeNotGrantable } from './tenant.errors.ts'
import { insertAuditEvent } from './tenant.repository.ts'
import type { CreatedKey, Key, NewKey } from './tenant-types.ts'

export type AuthenticatedKey = LiveKey & { readonly tenantId: string }

export type KeyServiceOptions = {
  readonly database: Database
  readonly idempotency: Idempotency
  readonly clock: Clock
  readonly createId: CreateId
  /** How long a verified key is believed without asking again; 0: never. */
  readonly cacheMs: number
}

export type KeyService = ReturnType<typeof createKeyService>

/** A caller with the key it came with, from which the keys that it makes under an Idempotency-Key are derived. */
export type KeyMaker = Caller & { readonly secret: string }

const cachedKeysMax = 10_000

export const createKeyService = ({ database, idempotency, clock, createId, cacheMs }: KeyServiceOptions) => {
  const verified = new Map<string, { readonly key: AuthenticatedKey; readonly untilMs: number }>()

  const remember = (hash: string, key: AuthenticatedKey): void => {
    if (verified.size >= cachedKeysMax) verified.clear()
    const expiryMs = key.key.expiresAt === null ? Number.POSITIVE_INFINITY : Date.parse(key.key.expiresAt)
    verified.set(hash, { key, untilMs: Math.min(clock.nowMs() + cacheMs, expiryMs) })
  }

  const audit = (tx: TenantTransaction, { actor, requestId }: Caller, event: { action: string; key: Key }) =>
    insertAuditEvent(tx, {
      auditEventId: createId('aud'),
      actor,
      action: event.action,
      target: event.key.keyId,
      details: { name: event.key.name, scopes: event.key.scopes, agent_ids: event.key.agentIds },
      requestId,
    })

  const ensureGrantable = (caller: Caller, key: NewKey): void => {
    const missing = key.scopes.filter((scope) => !caller.scopes.includes(scope))
    if (missing.length > 0) throw scopeNotGrantable(missing)
    const bound = caller.agentIds
    if (bound !== null && (key.agentIds === null || key.agentIds.some((agentId) => !bound.includes(agentId))))
      throw scopeNotGrantable(['agents that this key is not bound to'])
  }

  /** Stores a key; the answer that an Idempotency-Key keeps holds a salt in place of the secret. */
  const store = async (
    caller: KeyMaker,
    makeKey: (tx: TenantTransaction, keyHash: Buffer) => Promise<Key>,
  ): Promise<CreatedKey> => {
    const fresh = randomBytes(32).toString('base64url')
    const secretFor = (salt: string) =>
      caller.idempotency === null
        ? createTenantSecret(caller.tenantId)
        : deriveTenantSecret(caller.tenantId, { callerSecret: caller.secret, salt })
    const made = secretFor(fresh)
    const { salt, ...key } = await idempotency.runOnce<Key & { readonly salt: string }>(caller, {
      agentId: null,
      operation: (commit) => commit(async (tx) => ({ ...(await makeKey(tx, hashOf(made))), salt: fresh })),
    })
    return { ...key, secret: salt === fresh ? made : secretFor(salt) }
  }

  return {
    /** Null: no such key, or not one that may be used now. */
    authenticate: async (secret: string): Promise<AuthenticatedKey | null> => {
      const tenantId = tenantOfSecret(secret)
      if (tenantId === null) return null
      const keyHash = hashOf(secret)
      const cached = verified.get(keyHash.toString('hex'))
      if (cached !== undefined && cached.untilMs > clock.nowMs()) return cached.key
      const now = new Date(clock.nowMs()).toISOString()
      const live = await database.transact(tenantId, (tx) => findLiveKey(tx, { keyHash, now }))
      if (live === null || !isSameHash(live.keyHash, keyHash)) return null
      const key = { ...live, tenantId }
      if (cacheMs > 0) remember(keyHash.toString('hex'), key)
      return key
    },

    /** What was verified is asked for again: a key or a tenant has changed. */
    forgetVerified: (): void => verified.clear(),

    create: async (caller: KeyMaker, key: NewKey): Promise<CreatedKey> => {
      ensureGrantable(caller, key)
      return store(caller, async (tx, keyHash) => {
        const created = await insertKey(tx, { keyId: createId('key'), keyHash, key, rotatedFrom: null })
        await audit(tx, caller, { action: 'key.create', key: created })
        return created
      })
    },

    list: async (caller: Caller, { cursor, limit }: PageRequest): Promise<Page<Key>> => {
      const [after] = decodeCursor(cursor, [''] as readonly [string])
      const rows = await database.transact(caller.tenantId, (tx) => listKeys(tx, { after, limit: limit + 1 }), caller)
      return pageOf(rows, { limit, keysOf: (key) => [key.keyId], map: (key) => key })
    },

    /** A successor with the same rights; both live until the old one's grace is over. */
    rotate: async (
      caller: KeyMaker,
      { keyId, graceSeconds }: { keyId: string; graceSeconds: number },
    ): Promise<CreatedKey> => {
      const rotated = await store(caller, async (tx, keyHash) => {
        const old = await findKey(tx, keyId)
        if (old === null) throw keyNotFound()
        const nowMs = clock.nowMs()
        if (old.revokedAt !== null || (old.expiresAt !== null && Date.parse(old.expiresAt) <= nowMs)) throw keyNotLive()
        ensureGrantable(caller, old)
        const created = await insertKey(tx, { keyId: createId('key'), keyHash, key: old, rotatedFrom: keyId })
        await expireKey(tx, { keyId, expiresAt: new Date(nowMs + graceSeconds * 1000).toISOString() })
        await audit(tx, caller, { action: 'key.rotate', key: created })
        return created
      })
      verified.clear()
      return rotated
    },

    revoke: async (caller: Caller, keyId: string): Promise<void> => {
      await database.transact(caller.tenantId, async (tx) => {
        const revoked = await revokeKey(tx, keyId)
        if (revoked === null) throw keyNotFound()
        await audit(tx, caller, { action: 'key.revoke', key: revoked })
      })
      verified.clear()
    },
  }
}
