/**
 * What has to happen without anybody asking: expired memories are purged (they were invisible from their moment on),
 * erasures that met a dead index and deletions of tenants that were interrupted are finished, stored answers past their
 * time go, tenants' retention is held, what is stored is added up. Each pass goes in small transactions, has its time and
 * keeps what it has done when that is over or one of them fails; each is safe to repeat, and safe in several processes at
 * once. The first round runs at the start.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Database } from '../../ports/database.ts'
import type { Clock } from '../../shared/clock.ts'
import { lockAgent } from '../agent/erasure.repository.ts'
import type { HoldRetention } from '../agent/retention.ts'
import { purgeAnswers } from '../idempotency/idempotency.repository.ts'
import { findRetainingTenants, findTenant, findUnfoldedTenants, foldUsage } from '../tenant/tenant.repository.ts'
import { type ExpiredMemory, findExpired, findExpiredAnswers, findPendingErasures } from './maintenance.repository.ts'
import { deleteMemories } from './memory.repository.ts'

const rowLimit = 1_000
const deltasAtOnce = 5_000
/** Of each pass; the next round goes on. */
const passMs = 20_000

export type MaintenanceOptions = {
  readonly database: Database
  readonly clock: Clock
  readonly finishErasure: (tenantId: string, erasureId: string) => Promise<unknown>
  /** Goes on with tenants whose deletion was interrupted; the signal ends it between two of them. */
  readonly finishDeletions: (signal: AbortSignal) => Promise<void>
  readonly holdRetention: HoldRetention
  readonly logger: Logger
  readonly intervalMs: number
  readonly onPurge: () => void
}

type IsOver = () => boolean

const byAgent = (rows: readonly ExpiredMemory[]): readonly (readonly [ExpiredMemory, ...ExpiredMemory[]])[] => {
  const groups = new Map<string, [ExpiredMemory, ...ExpiredMemory[]]>()
  for (const row of rows) {
    const key = `${row.tenant_id} ${row.agent_id}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [row])
    else group.push(row)
  }
  return [...groups.values()]
}

export const createMaintenance = (options: MaintenanceOptions) => {
  const { database, clock, finishErasure, finishDeletions, holdRetention, logger, intervalMs, onPurge } = options
  const stopped = new AbortController()
  let running: Promise<void> = Promise.resolve()
  /** The tenant whose retention was held last; the next round begins behind it, so that each has its turn. */
  let retainedLast = ''

  const warn = (error: unknown): void => logger.warn({ err: error }, 'maintenance failed; it tries again')

  /** One after another, until the time is over; a failure of one keeps nobody else from its turn. */
  const each = async <Item>(items: readonly Item[], isOver: IsOver, work: (item: Item) => Promise<unknown>) => {
    for (const item of items) {
      if (isOver()) return
      await work(item).catch(warn)
    }
  }

  /** What was found may have been given more time since, so the moment is compared again under the agent's lock. */
  const purgeOf = async ([first, ...others]: readonly [ExpiredMemory, ...ExpiredMemory[]]): Promise<number> => {
    const { tenant_id, agent_id: agentId } = first
    const memoryIds = [first, ...others].map((row) => row.memory_id)
    const expiredBy = new Date(clock.nowMs()).toISOString()
    return database.transact(tenant_id, async (tx) => {
      if ((await lockAgent(tx, agentId)) === null) return 0
      return (await deleteMemories(tx, { agentId, memoryIds, expiredBy })).length
    })
  }

  const purgeExpired = async (isOver: IsOver): Promise<void> => {
    for (let purged = rowLimit; purged === rowLimit && !isOver(); ) {
      purged = 0
      const expired = await database.transactAsSystem((tx) => findExpired(tx, rowLimit))
      await each(byAgent(expired), isOver, async (rows) => {
        purged += await purgeOf(rows)
      })
      if (purged > 0) onPurge()
    }
  }

  const finishErasures = async (isOver: IsOver): Promise<void> => {
    const pending = await database.transactAsSystem((tx) => findPendingErasures(tx, rowLimit))
    await each(pending, isOver, ({ tenant_id, erasure_id }) => finishErasure(tenant_id, erasure_id))
  }

  /** Repeats a batch until one is not full. */
  const untilDone = async (full: number, isOver: IsOver, batch: () => Promise<number>): Promise<void> => {
    while (!isOver() && (await batch()) === full);
  }

  const purgeExpiredAnswers = async (isOver: IsOver): Promise<void> => {
    const tenantIds = await database.transactAsSystem((tx) => findExpiredAnswers(tx, rowLimit))
    await each(tenantIds, isOver, (tenantId) =>
      untilDone(rowLimit, isOver, () =>
        database.transact(tenantId, (tx) => purgeAnswers(tx, { limit: rowLimit, olderThanHours: null })),
      ),
    )
  }

  const foldUsages = async (isOver: IsOver): Promise<void> => {
    const tenantIds = await database.transactAsSystem((tx) => findUnfoldedTenants(tx, rowLimit))
    await each(tenantIds, isOver, (tenantId) =>
      untilDone(deltasAtOnce, isOver, () => database.transact(tenantId, (tx) => foldUsage(tx, deltasAtOnce))),
    )
  }

  const holdRetentions = async (isOver: IsOver): Promise<void> => {
    const tenantIds = await database.transactAsSystem((tx) => findRetainingTenants(tx, retainedLast, rowLimit))
    if (tenantIds.length < rowLimit) retainedLast = ''
    await each(tenantIds, isOver, async (tenantId) => {
      const tenant = await database.transact(tenantId, findTenant)
      if (tenant === null) return
      const purged = await holdRetention(tenantId, tenant.retention, isOver)
      if (Object.keys(purged).length > 0) logger.info({ tenantId, purged }, 'retention removed what was past its time')
      if (tenantIds.length === rowLimit || isOver()) retainedLast = tenantId
    })
  }

  const passes = [
    purgeExpired,
    finishErasures,
    () => finishDeletions(stopped.signal),
    purgeExpiredAnswers,
    holdRetentions,
    foldUsages,
  ]

  /** Every pass has its turn, whatever became of the others. @throws AggregateError of what failed */
  const runOnce = async (): Promise<void> => {
    const failures: unknown[] = []
    for (const pass of passes) {
      const endsMs = clock.monotonicMs() + passMs
      const isOver = () => stopped.signal.aborted || clock.monotonicMs() >= endsMs
      await pass(isOver).catch((error: unknown) => failures.push(error))
    }
    if (failures.length > 0) throw new AggregateError(failures, 'Passes of maintenance failed.')
  }

  const runUntilStopped = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      await runOnce().catch(warn)
      await sleep(intervalMs, undefined, { signal: stopped.signal }).catch(() => undefined)
    }
  }

  return {
    runOnce,
    start: () => {
      running = runUntilStopped()
    },
    stop: async () => {
      stopped.abort()
      await running
    },
  }
}

export type Maintenance = ReturnType<typeof createMaintenance>
