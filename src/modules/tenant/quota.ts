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
import { noQuotas, type Quotas } from './tenant-types.ts'

type Known = { readonly untilMs: number; readonly quotas: Quotas; memories: number; storedBytes: number }

export type Wanted = { readonly memories: number; readonly bytes: number }

export type Room = {
  /** Nothing is taken where nothing is wanted. @throws AppError `quota.memories`, `quota.stored_bytes` (429) */
  take(wanted: Wanted): void
}

const knownForMs = 5_000
const tenantsMax = 10_000

export type QuotaGuard = ReturnType<typeof createQuotaGuard>

export const createQuotaGuard = ({ database, clock }: { database: Database; clock: Clock }) => {
  const known = new Map<string, Known>()
  const readings = new Map<string, Promise<Known>>()

  const load = async (tenantId: string): Promise<Known> => {
    const fresh = await database.transact(tenantId, async (tx): Promise<Known> => {
      const tenant = await findTenant(tx)
      const quotas = tenant?.quotas ?? noQuotas
      const isLimited = quotas.memoriesMax !== null || quotas.storedBytesMax !== null
      const usage = isLimited ? await readUsage(tx) : { memories: 0, storedBytes: 0 }
      const { memories, storedBytes } = usage
      return { untilMs: clock.monotonicMs() + knownForMs, quotas, memories, storedBytes }
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

  /** What there is, read before the transaction in which more is taken. */
  const openRoom = async ({ tenantId }: Caller): Promise<Room> => {
    const before = known.get(tenantId)
    const usage = before !== undefined && before.untilMs > clock.monotonicMs() ? before : await read(tenantId)
    const { memoriesMax, storedBytesMax } = usage.quotas
    return {
      take: ({ memories, bytes }) => {
        if (memories > 0 && memoriesMax !== null && usage.memories + memories > memoriesMax)
          throw quotaExceeded('memories', memoriesMax)
        if (bytes > 0 && storedBytesMax !== null && usage.storedBytes + bytes > storedBytesMax)
          throw quotaExceeded('stored_bytes', storedBytesMax)
        usage.memories += memories
        usage.storedBytes += Math.max(0, bytes)
      },
    }
  }

  return {
    openRoom,
    /** @throws AppError `quota.memories`, `quota.stored_bytes` (429) when there is no room for these */
    reserve: async (caller: Caller, wanted: Wanted): Promise<void> => (await openRoom(caller)).take(wanted),
    /** A quota has changed: it holds from the next request on. */
    forget: (tenantId: string): void => {
      known.delete(tenantId)
    },
  }
}
