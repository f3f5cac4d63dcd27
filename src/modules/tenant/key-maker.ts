/**
 * Makes keys that are shown once and stored nowhere, and yet answers a retry with the same key. The answer that an
 * Idempotency-Key keeps holds a salt in place of the key; key and salt are tied by an HMAC under the caller's own key.
 * So the claim is tied to the caller's key too: another caller with the same Idempotency-Key could not be given the
 * key, and is told that the Idempotency-Key is taken.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { TenantTransaction } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import type { Idempotency } from '../idempotency/idempotency.service.ts'
import { createTenantSecret, deriveTenantSecret, hashOf } from './key-secret.ts'
import { keyOver } from './tenant.errors.ts'
import type { CreatedKey, Key, NewKey } from './tenant-types.ts'

/** A caller with the key it came with, from which the keys that it makes under an Idempotency-Key are derived. */
export type KeyMaker = Caller & { readonly secret: string }

/** @throws AppError `key.expiry_passed` (422) */
export const ensureNotOver = ({ expiresAt }: NewKey, nowMs: number): void => {
  if (expiresAt !== null && Date.parse(expiresAt) <= nowMs) throw keyOver()
}

type StoredAnswer = Key & { readonly salt: string }

const tiedToSecret = ({ idempotency, secret }: KeyMaker): Caller['idempotency'] => {
  if (idempotency === null) return null
  const requestHash = createHash('sha256').update(idempotency.requestHash).update(hashOf(secret)).digest()
  return { key: idempotency.key, requestHash }
}

export const makeKeyOnce = async (
  idempotency: Idempotency,
  { maker, insert }: { maker: KeyMaker; insert: (tx: TenantTransaction, keyHash: Buffer) => Promise<Key> },
): Promise<CreatedKey> => {
  const { tenantId, secret: callerSecret } = maker
  const fresh = randomBytes(32).toString('base64url')
  const secretOf = (salt: string) => deriveTenantSecret(tenantId, { callerSecret, salt })
  const made = maker.idempotency === null ? createTenantSecret(tenantId) : secretOf(fresh)
  const caller: Caller = { ...maker, idempotency: tiedToSecret(maker) }
  const { salt, ...key } = await idempotency.runOnce<StoredAnswer>(caller, {
    agentId: null,
    operation: (commit) => commit(async (tx) => ({ ...(await insert(tx, hashOf(made))), salt: fresh })),
  })
  return { ...key, secret: salt === fresh ? made : secretOf(salt) }
}
