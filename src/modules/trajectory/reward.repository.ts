import type { TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'
import type { Reward, RewardWithHistory } from './trajectory-types.ts'

type RewardRow = {
  readonly reward_id: string
  readonly session_id: string
  readonly reward_key: string
  readonly value: number
  readonly parts: Readonly<Record<string, number>>
  readonly attached_by: string
  readonly created_at: string
}

const toReward = (row: RewardRow): Reward => ({
  rewardId: row.reward_id,
  sessionId: row.session_id,
  key: row.reward_key,
  value: row.value,
  parts: row.parts,
  attachedBy: row.attached_by,
  createdAt: row.created_at,
})

/** Rewards that a key had before the one that counts, as answers show them at most. */
const historyMax = 100

/** Attaches after all others of its key; the session's row is locked. */
export const insertReward = async (tx: TenantTransaction, reward: Omit<Reward, 'createdAt'>): Promise<Reward> => {
  const rows = await tx.query<RewardRow>(sql`
    insert into reward (tenant_id, session_id, reward_id, reward_key, reward_order, value, parts, attached_by, created_at)
    select ${tx.tenantId}, ${reward.sessionId}, ${reward.rewardId}, ${reward.key}, coalesce(max(reward_order), 0) + 1,
      ${reward.value}, ${JSON.stringify(reward.parts)}::jsonb, ${reward.attachedBy}, clock_timestamp()
    from reward
    where tenant_id = ${tx.tenantId} and session_id = ${reward.sessionId} and reward_key = ${reward.key}
    returning *`)
  return toReward(rows[0] as RewardRow)
}

/** How many keys other than `key` the session has rewards under. */
export const countOtherKeys = async (
  tx: TenantTransaction,
  { sessionId, key }: { sessionId: string; key: string },
): Promise<number> => {
  const rows = await tx.query<{ keys: number }>(sql`
    select count(distinct reward_key) as keys from reward
    where tenant_id = ${tx.tenantId} and session_id = ${sessionId} and reward_key <> ${key}`)
  return rows[0]?.keys ?? 0
}

/** The rewards that count, by session and key. */
export const listRewards = async (tx: TenantTransaction, sessionIds: readonly string[]): Promise<readonly Reward[]> => {
  const rows = await tx.query<RewardRow>(sql`
    select distinct on (session_id, reward_key) * from reward
    where tenant_id = ${tx.tenantId} and session_id = any(${sessionIds}::text[])
    order by session_id, reward_key, reward_order desc`)
  return rows.map(toReward)
}

/** The rewards of a session by key, each with those it replaced. */
export const listRewardsWithHistory = async (
  tx: TenantTransaction,
  sessionId: string,
): Promise<readonly RewardWithHistory[]> => {
  const rows = await tx.query<RewardRow & { readonly place: number }>(sql`
    select * from (
      select *, row_number() over (partition by reward_key order by reward_order desc) as place from reward
      where tenant_id = ${tx.tenantId} and session_id = ${sessionId}
    ) as ranked
    where place <= ${historyMax}::bigint + 1 order by reward_key, place`)
  const rewards = rows.map(toReward)
  return rows.flatMap((row, at) => {
    if (row.place !== 1) return []
    const next = rows.findIndex(({ place }, other) => other > at && place === 1)
    return [{ ...toReward(row), history: rewards.slice(at + 1, next === -1 ? undefined : next) }]
  })
}
