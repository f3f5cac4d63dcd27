/**
 * From a key's text to the key. What was looked up is believed for `cacheMs`, that it is good as well as that it is not,
 * by a clock that nobody sets. A key that was good when it was last looked up is looked up again at once; one that was
 * not, or is new here, waits its turn among the addresses that such keys come from. So whoever tries keys takes a few of
 * the database's connections at most, and keeps nobody waiting who has shown a good one.
 *
 * Those who ask for one key at once share one look-up, which belongs to none of them: it ends by a time of its own, and
 * each of them leaves it by its own signal.
 */
import { LRUCache } from 'lru-cache'
import type { Database } from '../../ports/database.ts'
import type { Clock } from '../../shared/clock.ts'
import { createFairSlots } from '../../shared/fair-slots.ts'
import { untilAborted } from '../../shared/until-aborted.ts'
import { findLiveKey, type LiveKey } from './key.repository.ts'
import { hashOf, isSameHash, tenantOfSecret } from './key-secret.ts'
import { tooManyUnknownKeys } from './tenant.errors.ts'

export type AuthenticatedKey = LiveKey & { readonly tenantId: string }

export type KeyLookupOptions = {
  readonly database: Pick<Database, 'transact'>
  readonly clock: Clock
  /** How long an answer is believed without asking again; 0: never. */
  readonly cacheMs: number
  /** Longest time of a look-up, its wait for a turn and for a connection included. */
  readonly lookupTimeoutMs: number
}

export type KeyAsker = {
  /** Where a key comes from: an address, as far as keys from there are taken for one client's. */
  readonly from: string
  readonly signal?: AbortSignal | undefined
}

const goodKeysMax = 10_000
const wrongKeysMax = 10_000
const unknownAtOnceMax = 4
const unknownPerAddressMax = 2
const unknownWaitingMax = 256

type Good = { readonly key: AuthenticatedKey; readonly untilMs: number }
type Asking = { readonly tenantId: string; readonly answer: Promise<AuthenticatedKey | null> }
type Asked = { readonly tenantId: string; readonly keyHash: Buffer; readonly name: string }

export const createKeyLookup = ({ database, clock, cacheMs, lookupTimeoutMs }: KeyLookupOptions) => {
  const good = new LRUCache<string, Good>({ max: goodKeysMax })
  const wrong = new LRUCache<string, { readonly untilMs: number }>({ max: wrongKeysMax })
  const asking = new Map<string, Asking>()
  const slots = createFairSlots({
    runningMax: unknownAtOnceMax,
    runningPerTenantMax: unknownPerAddressMax,
    waitingMax: unknownWaitingMax,
    turnedAway: tooManyUnknownKeys,
  })

  /** An expiry is a moment of the wall clock, and holds however long ago the key was looked up. */
  const isOver = ({ key: { expiresAt } }: AuthenticatedKey): boolean =>
    expiresAt !== null && Date.parse(expiresAt) <= clock.nowMs()

  const read = async ({ tenantId, keyHash }: Asked, signal: AbortSignal): Promise<AuthenticatedKey | null> => {
    const now = new Date(clock.nowMs()).toISOString()
    const live = await database.transact(tenantId, (tx) => findLiveKey(tx, { keyHash, now }), { signal })
    return live === null || !isSameHash(live.keyHash, keyHash) ? null : { ...live, tenantId }
  }

  const remember = ({ name }: Asked, key: AuthenticatedKey | null): void => {
    const untilMs = clock.monotonicMs() + cacheMs
    if (key !== null) good.set(name, { key, untilMs })
    else {
      good.delete(name)
      if (cacheMs > 0) wrong.set(name, { untilMs })
    }
  }

  /** Those who ask for one key at once share the answer, unless keys of its tenant have changed meanwhile. */
  const ask = (asked: Asked, { from }: KeyAsker): Promise<AuthenticatedKey | null> => {
    const { tenantId, name } = asked
    const signal = AbortSignal.timeout(lookupTimeoutMs)
    const look = () => read(asked, signal)
    // Where the database stands still, a connection and a turn are taken until it is given up, but nobody waits for that.
    const looking = good.has(name) ? look() : slots.use(from, look, signal)
    const answer = untilAborted(looking, signal).then((key) => {
      if (asking.get(name) === mine) remember(asked, key)
      return key
    })
    const mine: Asking = { tenantId, answer }
    asking.set(name, mine)
    const leave = (): void => {
      if (asking.get(name) === mine) asking.delete(name)
    }
    answer.then(leave, leave)
    return answer
  }

  return {
    /**
     * Null: no such key, or not one that may be used now.
     * @throws AppError `auth.too_many_unknown_keys` (503), those of the database; the reason of the signal when it aborts, and
     * a TimeoutError after `lookupTimeoutMs`
     */
    find: async (secret: string, asker: KeyAsker = { from: '' }): Promise<AuthenticatedKey | null> => {
      const tenantId = tenantOfSecret(secret)
      if (tenantId === null) return null
      const keyHash = hashOf(secret)
      const name = keyHash.toString('hex')
      const nowMs = clock.monotonicMs()
      const known = good.get(name)
      if (known !== undefined && known.untilMs > nowMs && !isOver(known.key)) return known.key
      if ((wrong.get(name)?.untilMs ?? nowMs) > nowMs) return null
      return untilAborted(asking.get(name)?.answer ?? ask({ tenantId, keyHash, name }, asker), asker.signal)
    },

    /** A key of the tenant, or the tenant itself, has changed: what is known of its keys is asked for again. */
    forget: (tenantId: string): void => {
      // A list of its own: what is set again while the cache is walked comes again.
      const known = [...good.entries()].filter(([, { key }]) => key.tenantId === tenantId)
      for (const [name, { key }] of known) good.set(name, { key, untilMs: Number.NEGATIVE_INFINITY })
      wrong.clear()
      for (const [name, one] of asking) if (one.tenantId === tenantId) asking.delete(name)
    },
  }
}
