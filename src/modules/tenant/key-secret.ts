/**
 * Keys. A tenant's key is `agm_` and, in base64url, the 16 bytes of its tenant's id with 32 random bytes: the tenant is
 * known before the database is asked, so the look-up runs under that tenant's row level security, and the random part
 * decides. Only the SHA-256 is stored; with 256 random bits there is nothing to guess that a slow hash would guard.
 *
 * A key that is made under an Idempotency-Key takes its random bytes from an HMAC of a stored salt under the caller's
 * own key, so a retry can answer with the same key though it is stored nowhere.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

const tenantPrefix = 'agm_'
const operatorPrefix = 'agmop_'
const tenantIdBytes = 16
const randomLength = 32

export const hashOf = (secret: string): Buffer => createHash('sha256').update(secret).digest()

export const isSameHash = (one: Buffer, other: Buffer): boolean =>
  one.length === other.length && timingSafeEqual(one, other)

const secretOf = (tenantId: string, random: Buffer): string =>
  tenantPrefix + Buffer.concat([Buffer.from(tenantId.slice('ten_'.length), 'hex'), random]).toString('base64url')

export const createTenantSecret = (tenantId: string): string => secretOf(tenantId, randomBytes(randomLength))

export const deriveTenantSecret = (
  tenantId: string,
  { callerSecret, salt }: { callerSecret: string; salt: string },
): string => secretOf(tenantId, createHmac('sha256', callerSecret).update(salt).digest())

export const createOperatorSecret = (): string => operatorPrefix + randomBytes(randomLength).toString('base64url')

/** The tenant that a key names, before anybody has checked the key; null when it cannot be a tenant's key. */
export const tenantOfSecret = (secret: string): string | null => {
  if (!/^agm_[A-Za-z0-9_-]{64}$/.test(secret)) return null
  const bytes = Buffer.from(secret.slice(tenantPrefix.length), 'base64url')
  return `ten_${bytes.subarray(0, tenantIdBytes).toString('hex')}`
}
