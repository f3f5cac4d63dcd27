/**
 * A reward is what somebody outside says a session was worth. It is attached under a key, by as many judges as there are
 * keys; the last one of a key counts and the others stay as its history. A closed session takes rewards too: what it was
 * worth is often known only later.
 */
import type { Database, TenantTransaction } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import type { CreateId } from '../../shared/ids.ts'
import type { Idempotency } from '../idempotency/idempotency.service.ts'
import { findSession } from '../session/session.repository.ts'
import { ensureReachable } from '../session/session-access.ts'
import type { RunUnit } from '../session/units.ts'
import { countOtherKeys, insertReward } from './reward.repository.ts'
import { tooManyRewardKeys } from './trajectory.errors.ts'
import type { Reward } from './trajectory-types.ts'

/** The key that a step record takes its reward from, unless another is asked for. */
export const defaultRewardKey = 'default'
const rewardKeysMax = 64

export type NewReward = Pick<Reward, 'sessionId' | 'key' | 'value' | 'parts'>

/**
 * The reward that a record carries: that of the key asked for; unasked the one under `default`, else the only one there
 * is. Among several with no `default` none is chosen.
 */
export const chooseReward = (rewards: readonly Reward[], key: string | null): Reward | null => {
  const named = rewards.find((reward) => reward.key === (key ?? defaultRewardKey))
  if (named !== undefined) return named
  return key === null && rewards.length === 1 ? (rewards[0] ?? null) : null
}

export type RewardOptions = {
  readonly database: Database
  readonly idempotency: Idempotency
  readonly runUnit: RunUnit
  readonly createId: CreateId
}

export const createRewardAttachment =
  ({ database, idempotency, runUnit, createId }: RewardOptions) =>
  /** @throws AppError `session.not_found` (404), `reward.too_many_keys` (422) */
  async (caller: Caller, reward: NewReward): Promise<Reward> => {
    const { sessionId, key } = reward
    const found = await database.transact(caller.tenantId, (tx) => findSession(tx, sessionId), caller)
    const session = ensureReachable(caller, found)
    const work = async (tx: TenantTransaction): Promise<Reward> => {
      if ((await countOtherKeys(tx, { sessionId, key })) >= rewardKeysMax) throw tooManyRewardKeys(rewardKeysMax)
      return insertReward(tx, { ...reward, rewardId: createId('rew'), attachedBy: caller.actor })
    }
    return idempotency.runOnce<Reward>(caller, {
      agentId: session.agentId,
      operation: (commit) => runUnit<Reward>(caller, { session, writesMemoryOf: null, commit, work }),
    })
  }
