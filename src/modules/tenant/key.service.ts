import type { Database, TenantTransaction } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import type { Clock } from '../../shared/clock.ts'
import type { CreateId } from '../../shared/ids.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../../shared/page.ts'
import type { Idempotency } from '../idempotency/idempotency.service.ts'
import { insertAuditEvent } from './audit.repository.ts'
import { findKey, findLiveKey, insertKey, type LiveKey, listKeys, retireKey, revokeKey } from './key.repository.ts'
import { ensureNotOver, type KeyMaker, makeKeyOnce } from './key-maker.ts'
import { hashOf, isSameHash, tenantOfSecret } from './key-secret.ts'
import { keyNotFound, keyNotLive, scopeNotGrantable } from './tenant.errors.ts'
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

const cachedKeysMax = 10_000

export const createKeyService = ({ database, idempotency, clock, createId, cacheMs }: KeyServiceOptions) => {
  const verified = new Map<string, { readonly key: AuthenticatedKey; readonly untilMs: number }>()
  /** Grows when keys change, so that a look-up that began before is not remembered after. */
  let generation = 0

  const remember = (hash: string, key: AuthenticatedKey): void => {
    if (verified.size >= cachedKeysMax) verified.clear()
    const expiryMs = key.key.expiresAt === null ? Number.POSITIVE_INFINITY : Date.parse(key.key.expiresAt)
    verified.set(hash, { key, untilMs: Math.min(clock.nowMs() + cacheMs, expiryMs) })
  }

  const forgetVerified = (): void => {
    generation += 1
    verified.clear()
  }

  const isLive = ({ revokedAt, expiresAt }: Key): boolean =>
    revokedAt === null && (expiresAt === null || Date.parse(expiresAt) > clock.nowMs())

  const audit = (tx: TenantTransaction, { actor, requestId }: Caller, event: { action: string; key: Key }) =>
    insertAuditEvent(tx, {
      auditEventId: createId('aud'),
      actor,
      action: event.action,
      target: event.key.keyId,
      agentIds: event.key.agentIds,
      details: { name: event.key.name, scopes: event.key.scopes, agent_ids: event.key.agentIds },
      requestId,
    })

  /** A key that reaches further than the caller is as good as none. */
  const isWithinReach = ({ agentIds: bound }: Caller, { agentIds }: Key): boolean =>
    bound === null || agentIds?.every((agentId) => bound.includes(agentId)) === true

  const ensureGrantable = (caller: Caller, key: NewKey): void => {
    const missing = key.scopes.filter((scope) => !caller.scopes.includes(scope))
    if (missing.length > 0) throw scopeNotGrantable(missing)
    const bound = caller.agentIds
    if (bound !== null && (key.agentIds === null || key.agentIds.some((agentId) => !bound.includes(agentId))))
      throw scopeNotGrantable(['agents that this key is not bound to'])
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
      const asked = generation
      const live = await database.transact(tenantId, (tx) => findLiveKey(tx, { keyHash, now }))
      if (live === null || !isSameHash(live.keyHash, keyHash)) return null
      const key = { ...live, tenantId }
      if (cacheMs > 0 && asked === generation) remember(keyHash.toString('hex'), key)
      return key
    },

    /** What was verified is asked for again: a key or a tenant has changed. */
    forgetVerified,

    create: async (caller: KeyMaker, key: NewKey): Promise<CreatedKey> => {
      ensureGrantable(caller, key)
      return makeKeyOnce(idempotency, {
        maker: caller,
        insert: async (tx, keyHash) => {
          ensureNotOver(key, clock.nowMs())
          const created = await insertKey(tx, { keyId: createId('key'), keyHash, key, predecessor: null })
          await audit(tx, caller, { action: 'key.create', key: created })
          return created
        },
      })
    },

    /** Of a caller that is bound to agents, the keys that are bound to no others. */
    list: async (caller: Caller, { cursor, limit }: PageRequest): Promise<Page<Key>> => {
      const [after] = decodeCursor({ list: 'keys', cursor }, [''] as readonly [string])
      const rows = await database.transact(
        caller.tenantId,
        (tx) => listKeys(tx, { only: caller.agentIds, after, limit: limit + 1 }),
        caller,
      )
      return pageOf(rows, { list: 'keys', limit, keysOf: (key) => [key.keyId] })
    },

    /**
     * A successor with the same rights and expiry; both live until the old one's grace is over. A key may be rotated within
     * its grace too, since the first successor may have got lost.
     */
    rotate: async (
      caller: KeyMaker,
      { keyId, graceSeconds }: { keyId: string; graceSeconds: number },
    ): Promise<CreatedKey> => {
      const rotated = await makeKeyOnce(idempotency, {
        maker: caller,
        insert: async (tx, keyHash) => {
          const old = await findKey(tx, keyId)
          if (old === null || !isWithinReach(caller, old)) throw keyNotFound()
          if (!isLive(old)) throw keyNotLive()
          ensureGrantable(caller, old)
          const key = { ...old, expiresAt: old.ownExpiresAt }
          const created = await insertKey(tx, { keyId: createId('key'), keyHash, key, predecessor: old })
          const graceEnd = new Date(clock.nowMs() + graceSeconds * 1000).toISOString()
          await retireKey(tx, { keyId, retiresAt: graceEnd })
          await audit(tx, caller, { action: 'key.rotate', key: created })
          return created
        },
      })
      forgetVerified()
      return rotated
    },

    revoke: async (caller: Caller, keyId: string): Promise<void> => {
      await database.transact(caller.tenantId, async (tx) => {
        const key = await findKey(tx, keyId)
        if (key === null || !isWithinReach(caller, key)) throw keyNotFound()
        const revoked = (await revokeKey(tx, keyId)) ?? key
        await audit(tx, caller, { action: 'key.revoke', key: revoked })
      })
      forgetVerified()
    },
  }
}
