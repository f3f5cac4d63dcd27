/**
 * Tokens of the model by tenant and day (UTC). A run may begin while some are left; what it takes is counted after each
 * call, since only then is it known, so the runs under way are all that the quota can be overshot by.
 */
import type { Database } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import type { Clock } from '../../shared/clock.ts'
import { addModelUsage, readModelUsage } from './model-usage.repository.ts'
import { modelTokensUsedUp } from './tenant.errors.ts'
import { findTenant } from './tenant.repository.ts'

const dayMs = 86_400_000

/** The day of a moment, as `2026-05-01`. */
export const dayOf = (nowMs: number): string => new Date(nowMs).toISOString().slice(0, 10)

export type ModelTokens = ReturnType<typeof createModelTokens>

export const createModelTokens = ({ database, clock }: { database: Database; clock: Clock }) => ({
  /** @throws AppError `quota.model_tokens` (429) until the day is over */
  ensureLeft: async (caller: Caller): Promise<void> => {
    const nowMs = clock.nowMs()
    const { max, used } = await database.transact(
      caller.tenantId,
      async (tx) => {
        const tenant = await findTenant(tx)
        const { promptTokens, completionTokens } = await readModelUsage(tx, dayOf(nowMs))
        return { max: tenant?.quotas.modelTokensPerDayMax ?? null, used: promptTokens + completionTokens }
      },
      caller,
    )
    if (max !== null && used >= max) throw modelTokensUsedUp(max, Math.ceil((dayMs - (nowMs % dayMs)) / 1000))
  },

  record: async (
    tenantId: string,
    { promptTokens, completionTokens }: { promptTokens: number; completionTokens: number },
  ): Promise<void> => {
    const usage = { calls: 1, promptTokens, completionTokens }
    await database.transact(tenantId, (tx) => addModelUsage(tx, { day: dayOf(clock.nowMs()), usage }))
  },
})
