/**
 * What has to happen without anybody asking: expired memories are purged (they were invisible from their moment on),
 * erasures that met a dead index are finished, stored answers past their time go. Each pass is short, safe to repeat,
 * and safe in several processes at once.
 */
import type { Logger } from 'pino'
import type { Database } from '../../ports/database.ts'
import { deleteMemories } from './memory.repository.ts'
import { type ExpiredMemory, findExpired, findPendingErasures, purgeIdempotencyKeys } from './system.repository.ts'

const rowLimit = 1_000

export type MaintenanceOptions = {
  readonly database: Database
  readonly finishErasure: (tenantId: string, erasureId: string) => Promise<unknown>
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

export const createMaintenance = ({ database, finishErasure, logger, intervalMs, onPurge }: MaintenanceOptions) => {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()

  const purgeExpired = async (): Promise<number> => {
    const expired = await database.transactAsSystem((tx) => findExpired(tx, rowLimit))
    for (const rows of byAgent(expired)) {
      const { tenant_id, agent_id } = rows[0]
      const memoryIds = rows.map((row) => row.memory_id)
      await database.transact(tenant_id, (tx) => deleteMemories(tx, { agentId: agent_id, memoryIds }))
    }
    if (expired.length > 0) onPurge()
    return expired.length
  }

  const finishErasures = async (): Promise<void> => {
    const pending = await database.transactAsSystem((tx) => findPendingErasures(tx, rowLimit))
    for (const { tenant_id, erasure_id } of pending) await finishErasure(tenant_id, erasure_id)
  }

  const runOnce = async (): Promise<void> => {
    while ((await purgeExpired()) === rowLimit);
    await finishErasures()
    await database.transactAsSystem(purgeIdempotencyKeys)
  }

  return {
    runOnce,
    start: () => {
      timer = setInterval(() => {
        running = runOnce().catch((error: unknown) => logger.warn({ err: error }, 'maintenance failed; it tries again'))
      }, intervalMs)
    },
    stop: async () => {
      clearInterval(timer)
      await running
    },
  }
}

export type Maintenance = ReturnType<typeof createMaintenance>
