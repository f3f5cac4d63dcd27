/** What a key may do to keys: it grants no more than it has, for no longer, and the last that can make keys stays. */
import type { Caller } from '../../shared/caller.ts'
import { expiryNotGrantable, lastManager, scopeNotGrantable } from './tenant.errors.ts'
import type { Key, NewKey } from './tenant-types.ts'

type Rights = Pick<Key, 'scopes' | 'agentIds'> & Partial<Pick<Key, 'expiresAt'>>

/** A key that reaches further than the caller is as good as none. */
export const isWithinReach = (
  { agentIds: bound }: Pick<Caller, 'agentIds'>,
  { agentIds }: Pick<Key, 'agentIds'>,
): boolean => bound === null || agentIds?.every((agentId) => bound.includes(agentId)) === true

/** Both are RFC 3339; null lasts for ever. */
const outlives = (expiresAt: string | null, limit: string | null): boolean =>
  limit !== null && (expiresAt === null || Date.parse(expiresAt) > Date.parse(limit))

/** @throws AppError `key.scope_not_grantable`, `key.expiry_not_grantable` (403) */
export const ensureGrantable = ({ expiresAt = null, ...own }: Rights, key: NewKey): void => {
  const missing = key.scopes.filter((scope) => !own.scopes.includes(scope))
  if (missing.length > 0) throw scopeNotGrantable(missing)
  if (!isWithinReach(own, key)) throw scopeNotGrantable(['agents that this key is not bound to'])
  if (outlives(key.expiresAt, expiresAt)) throw expiryNotGrantable(expiresAt ?? '')
}

/** A successor inherits the expiry that the old key was made with; one that a key makes of itself ends with its own right. */
export const successorExpiry = (maker: Key, { keyId, ownExpiresAt }: Key): string | null =>
  keyId === maker.keyId && outlives(ownExpiresAt, maker.expiresAt) ? maker.expiresAt : ownExpiresAt

const isManager = ({ scopes }: Key): boolean => scopes.includes('keys:manage')

/** A key that a rotation has retired is none to go on with. */
const isRetiring = ({ expiresAt, ownExpiresAt }: Key): boolean => expiresAt !== ownExpiresAt

/** @throws AppError `key.last_manager` (409) unless another live key can make keys wherever this one can */
export const ensureNotLastManager = (key: Key, live: readonly Key[]): void => {
  if (!isManager(key)) return
  const others = live.filter((other) => other.keyId !== key.keyId && isManager(other) && !isRetiring(other))
  if (!others.some((other) => isWithinReach(other, key))) throw lastManager()
}
