/**
 * What has to happen without anybody asking: expired memories are purged (they were invisible from their moment on),
 * erasures that met a dead index and deletions of tenants that were interrupted are finished, stored answers past their
 * time go. Each pass is safe to repeat, and safe in several processes at once. The first one runs at the start.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Database } from '../../ports/database.ts'
import type { Clock } from '../../shared/clock.ts'
import { lockAgent } from '../agent/erasure.repository.ts'
import { type ExpiredMemory, findExpired, findPendingErasures, purgeIdempotencyKeys } from './maintenance.repository.ts'
import { deleteMemories } from './memory.repository.ts'

const rowLimit = 1_000

export type MaintenanceOptions = {
  readonly database: Database
  readonly clock: Clock
  readonly finishErasure: (tenantId: string, erasureId: string) => Promise<unknown>
  /** Goes on with tenants whose deletion was interrupted; the signal ends it between two of them. */
  readonly finishDeletions: (signal: AbortSignal) => Promise<void>
  readonly logger: Logger
  readonly intervalMs: number
  readonly onPurge: () => void
}

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
  const { database, clock, finishErasure, finishDeletions, logger, intervalMs, onPurge } = options
  const stopped = new AbortController()
  let running: Promise<void> = Promise.resolve()

  /** What was found may have been given more time since, so the moment is compared again under the agent's lock. */
  const purgeOf = async ([first, ...others]: readonly [ExpiredMemory, ...ExpiredMemory[]]): Promise<number> => {
    const { tenant_id, agent_id: agentId } = first
    const memoryIds = [first, ...others].map((row) => row.memory_id)
    const expiredBy = new Date(clock.nowMs()).toISOString()
    return database.transact(tenant_id, async (tx) => {
      if (!(await lockAgent(tx, agentId))) return 0
      return (await deleteMemories(tx, { agentId, memoryIds, expiredBy })).length
    })
  }

  /** Answers how many are gone. */
  const purgeExpired = async (): Promise<number> => {
    const expired = await database.transactAsSystem((tx) => findExpired(tx, rowLimit))
    let purged = 0
    for (const rows of byAgent(expired)) purged += await purgeOf(rows)
    if (purged > 0) onPurge()
    return purged
  }

  const finishErasures = async (): Promise<void> => {
    const pending = await database.transactAsSystem((tx) => findPendingErasures(tx, rowLimit))
    for (const { tenant_id, erasure_id } of pending) await finishErasure(tenant_id, erasure_id)
  }

  const runOnce = async (): Promise<void> => {
    while ((await purgeExpired()) === rowLimit);
    await finishErasures()
    await finishDeletions(stopped.signal)
    await database.transactAsSystem(purgeIdempotencyKeys)
  }

  const runUntilStopped = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      await runOnce().catch((error: unknown) => logger.warn({ err: error }, 'maintenance failed; it tries again'))
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
