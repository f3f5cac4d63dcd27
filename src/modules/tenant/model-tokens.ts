/**
 * Tokens of the model by tenant and day (UTC). A run may begin while some are left; what a call takes is known only after
 * it, so the runs under way are all that the quota can be overshot by. No turn waits for the accounting: what was used is
 * gathered here and written every `flushMs`, and what the database says is read again every `knownForMs`.
 */
import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import type { Database } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import type { Clock } from '../../shared/clock.ts'
import { addModelUsage, type ModelUsage, readModelUsage } from './model-usage.repository.ts'
import { modelTokensUsedUp } from './tenant.errors.ts'
import { findTenant } from './tenant.repository.ts'

const dayMs = 86_400_000
const flushMs = 500
const knownForMs = 5_000
const tenantsMax = 10_000

type Known = { readonly untilMs: number; readonly day: string; readonly max: number | null; used: number }

/** The day of a moment, as `2026-05-01`. */
export const dayOf = (nowMs: number): string => new Date(nowMs).toISOString().slice(0, 10)

export type ModelTokens = ReturnType<typeof createModelTokens>

export type ModelTokensOptions = { readonly database: Database; readonly clock: Clock; readonly logger: Logger }

export const createModelTokens = ({ database, clock, logger }: ModelTokensOptions) => {
  const known = new LRUCache<string, Known>({ max: tenantsMax })
  let unwritten = new Map<string, { readonly tenantId: string; readonly day: string; usage: ModelUsage }>()
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> = Promise.resolve()

  const gather = (tenantId: string, day: string, usage: ModelUsage): void => {
    const before = unwritten.get(`${tenantId} ${day}`)?.usage ?? { calls: 0, promptTokens: 0, completionTokens: 0 }
    unwritten.set(`${tenantId} ${day}`, {
      tenantId,
      day,
      usage: {
        calls: before.calls + usage.calls,
        promptTokens: before.promptTokens + usage.promptTokens,
        completionTokens: before.completionTokens + usage.completionTokens,
      },
    })
    timer ??= setTimeout(() => void flush(), flushMs)
  }

  const write = async (): Promise<void> => {
    const batch = [...unwritten.values()]
    unwritten = new Map()
    for (const { tenantId, day, usage } of batch) {
      try {
        await database.transact(tenantId, (tx) => addModelUsage(tx, { day, usage }))
      } catch (error) {
        logger.warn({ err: error }, 'used model tokens could not be written; they are written later')
        gather(tenantId, day, usage)
      }
    }
  }

  /** Writes what was gathered until now. */
  const flush = (): Promise<void> => {
    clearTimeout(timer)
    timer = undefined
    writing = writing.then(write)
    return writing
  }

  const read = async ({ tenantId, signal }: Caller, day: string): Promise<Known> => {
    await flush()
    const fresh = await database.transact(
      tenantId,
      async (tx): Promise<Known> => {
        const max = (await findTenant(tx))?.quotas.modelTokensPerDayMax ?? null
        const used = max === null ? null : await readModelUsage(tx, day)
        const untilMs = clock.monotonicMs() + knownForMs
        return { untilMs, day, max, used: (used?.promptTokens ?? 0) + (used?.completionTokens ?? 0) }
      },
      { signal },
    )
    known.set(tenantId, fresh)
    return fresh
  }

  return {
    flush,

    /** @throws AppError `quota.model_tokens` (429) until the day is over */
    ensureLeft: async (caller: Caller): Promise<void> => {
      const nowMs = clock.nowMs()
      const day = dayOf(nowMs)
      const before = known.get(caller.tenantId)
      const isCurrent = before !== undefined && before.untilMs > clock.monotonicMs() && before.day === day
      const { max, used } = isCurrent ? before : await read(caller, day)
      if (max !== null && used >= max) throw modelTokensUsedUp(max, Math.ceil((dayMs - (nowMs % dayMs)) / 1000))
    },

    record: (
      tenantId: string,
      { promptTokens, completionTokens }: Pick<ModelUsage, 'promptTokens' | 'completionTokens'>,
    ): void => {
      const day = dayOf(clock.nowMs())
      gather(tenantId, day, { calls: 1, promptTokens, completionTokens })
      const before = known.get(tenantId)
      if (before?.day === day) before.used += promptTokens + completionTokens
    },

    /** A quota has changed: it holds from the next run on. */
    forget: (tenantId: string): void => {
      known.delete(tenantId)
    },
  }
}
