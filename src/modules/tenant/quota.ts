/**
 * Quotas on what a tenant stores. What is there is the sum over its agents, read at most every few seconds; what this
 * process has let in since is added. So what is under way during a reading, and what other processes take in between two
 * readings, is all that a quota can be overshot by. A tenant without quotas costs one read in that time and nothing else.
 */
import type { Database } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import type { Clock } from '../../shared/clock.ts'
import { quotaExceeded } from './tenant.errors.ts'
import { findTenant, readUsage } from './tenant.repository.ts'
import type { Quotas } from './tenant-types.ts'

type Known = { readonly untilMs: number; readonly quotas: Quotas; memories: number; storedBytes: number }

const knownForMs = 5_000
const tenantsMax = 10_000

export type QuotaGuard = ReturnType<typeof createQuotaGuard>

export const createQuotaGuard = ({ database, clock }: { database: Database; clock: Clock }) => {
  const known = new Map<string, Known>()
  const readings = new Map<string, Promise<Known>>()

  const load = async (tenantId: string): Promise<Known> => {
    const fresh = await database.transact(tenantId, async (tx): Promise<Known> => {
      const tenant = await findTenant(tx)
      const quotas = tenant?.quotas ?? {
        requestsPerSecond: null,
        memoriesMax: null,
        storedBytesMax: null,
        modelTokensPerDayMax: null,
      }
      const isLimited = quotas.memoriesMax !== null || quotas.storedBytesMax !== null
      const usage = isLimited ? await readUsage(tx) : { memories: 0, storedBytes: 0 }
      const { memories, storedBytes } = usage
      return { untilMs: clock.nowMs() + knownForMs, quotas, memories, storedBytes }
    })
    if (known.size >= tenantsMax) known.clear()
    known.set(tenantId, fresh)
    return fresh
  }

  /** Requests that come while it is being read wait for the same reading. */
  const read = (tenantId: string): Promise<Known> => {
    const reading = readings.get(tenantId) ?? load(tenantId).finally(() => readings.delete(tenantId))
    readings.set(tenantId, reading)
    return reading
  }

  return {
    /** @throws AppError `quota.memories`, `quota.stored_bytes` (429) when there is no room for these */
    reserve: async ({ tenantId }: Caller, wanted: { memories: number; bytes: number }): Promise<void> => {
      const before = known.get(tenantId)
      const usage = before !== undefined && before.untilMs > clock.nowMs() ? before : await read(tenantId)
      const { memoriesMax, storedBytesMax } = usage.quotas
      if (memoriesMax !== null && usage.memories + wanted.memories > memoriesMax)
        throw quotaExceeded('memories', memoriesMax)
      if (storedBytesMax !== null && usage.storedBytes + wanted.bytes > storedBytesMax)
        throw quotaExceeded('stored_bytes', storedBytesMax)
      usage.memories += wanted.memories
      usage.storedBytes += wanted.bytes
    },
    /** A quota has changed: it holds from the next request on. */
    forget: (tenantId: string): void => {
      known.delete(tenantId)
    },
  }
}
