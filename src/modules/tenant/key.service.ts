import type { TenantTransaction } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import type { CreateId } from '../../shared/ids.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../../shared/page.ts'
import type { Idempotency } from '../idempotency/idempotency.service.ts'
import { insertAuditEvent } from './audit.repository.ts'
import { findKey, insertKey, listKeys, lockManagers, retireKey, revokeKey } from './key.repository.ts'
import { createKeyLookup, type KeyLookupOptions } from './key-lookup.ts'
import { ensureNotOver, type KeyMaker, makeKeyOnce } from './key-maker.ts'
import { ensureGrantable, ensureNotLastManager, isWithinReach, successorExpiry } from './key-rights.ts'
import { keyNotFound, keyNotLive, makerNotLive } from './tenant.errors.ts'
import type { CreatedKey, Key, NewKey } from './tenant-types.ts'

export type { AuthenticatedKey } from './key-lookup.ts'

export type KeyServiceOptions = KeyLookupOptions & {
  readonly idempotency: Idempotency
  readonly createId: CreateId
}

export type KeyService = ReturnType<typeof createKeyService>

export const createKeyService = ({ idempotency, createId, ...options }: KeyServiceOptions) => {
  const { database, clock } = options
  const lookup = createKeyLookup(options)

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

  /** The key that the caller came with, held until the end of the transaction: what it makes is made while it is good. */
  const findMaker = async (tx: TenantTransaction, { actor }: Caller): Promise<Key> => {
    const maker = await findKey(tx, actor)
    if (maker === null || !isLive(maker)) throw makerNotLive()
    return maker
  }

  const revokeWhere = async (
    caller: Caller,
    keyId: string,
    ensureRevocable: (key: Key, live: readonly Key[]) => void,
  ): Promise<void> => {
    await database.transact(caller.tenantId, async (tx) => {
      const managers = await lockManagers(tx)
      const key = await findKey(tx, keyId)
      if (key === null || !isWithinReach(caller, key)) throw keyNotFound()
      if (isLive(key)) ensureRevocable(key, managers.filter(isLive))
      const revoked = (await revokeKey(tx, keyId)) ?? key
      await audit(tx, caller, { action: 'key.revoke', key: revoked })
    })
    lookup.forget(caller.tenantId)
  }

  return {
    /** Of the caller's key. @throws as `KeyLookup.find` */
    authenticate: lookup.find,

    /** What is known of a tenant's keys is asked for again: one of them, or the tenant, has changed. */
    forgetVerified: lookup.forget,

    create: async (caller: KeyMaker, key: NewKey): Promise<CreatedKey> => {
      ensureGrantable(caller, key)
      return makeKeyOnce(idempotency, {
        maker: caller,
        insert: async (tx, keyHash) => {
          ensureNotOver(key, clock.nowMs())
          ensureGrantable(await findMaker(tx, caller), key)
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
     * its grace too, since the first successor may have got lost; what it makes of itself then ends with the grace.
     */
    rotate: async (
      caller: KeyMaker,
      { keyId, graceSeconds }: { keyId: string; graceSeconds: number },
    ): Promise<CreatedKey> => {
      const rotated = await makeKeyOnce(idempotency, {
        maker: caller,
        insert: async (tx, keyHash) => {
          await lockManagers(tx)
          const old = await findKey(tx, keyId)
          if (old === null || !isWithinReach(caller, old)) throw keyNotFound()
          if (!isLive(old)) throw keyNotLive()
          const maker = await findMaker(tx, caller)
          const key = { ...old, expiresAt: successorExpiry(maker, old) }
          ensureGrantable(maker, key)
          const created = await insertKey(tx, { keyId: createId('key'), keyHash, key, predecessor: old })
          const graceEnd = new Date(clock.nowMs() + graceSeconds * 1000).toISOString()
          await retireKey(tx, { keyId, retiresAt: graceEnd })
          await audit(tx, caller, { action: 'key.rotate', key: created })
          return created
        },
      })
      lookup.forget(caller.tenantId)
      return rotated
    },

    /** @throws AppError `key.not_found` (404), `key.last_manager` (409) when nobody could make keys afterwards */
    revoke: (caller: Caller, keyId: string): Promise<void> => revokeWhere(caller, keyId, ensureNotLastManager),

    /** Also the last one with keys:manage, since the operator can make another. @throws AppError `key.not_found` (404) */
    revokeForOperator: (caller: Caller, keyId: string): Promise<void> => revokeWhere(caller, keyId, () => {}),
  }
}
