/**
 * Holds a tenant's retention: what is older than its tenant wants it kept is removed in small transactions, each safe to
 * repeat and safe beside another process that does the same. What is in a live context is never touched: a session goes
 * whole or not at all, and of an open one only steps, and messages that left its context, with the edits that could have
 * brought them back.
 */
import type { Database, TenantTransaction } from '../../ports/database.ts'
import { purgeAnswers } from '../idempotency/idempotency.repository.ts'
import type { Retention } from '../tenant/tenant-types.ts'
import { eraseBoundsUsual, eraseSessions, lockAgent } from './erasure.repository.ts'
import {
  findIdleSessions,
  lockIdleSessions,
  purgeAudit,
  purgeEdits,
  purgeErasures,
  purgeSteps,
} from './retention.repository.ts'

const sessionsAtOnce = 20
const rowsAtOnce = 500

export type PurgedCounts = Readonly<Record<string, number>>

/** Removes a batch and answers how many rows are gone; fewer than `full`: nothing is left for now. */
type Purge = { readonly kind: string; readonly full: number; run(): Promise<number> }

export const createRetention = ({ database }: { readonly database: Database }) => {
  const purgeSessions = async (tenantId: string, days: number): Promise<number> => {
    const idle = await database.transact(tenantId, (tx) => findIdleSessions(tx, { days, limit: sessionsAtOnce }))
    const agentIds = [...new Set(idle.map((row) => row.agent_id))].sort()
    let purged = 0
    for (const agentId of agentIds) {
      const found = idle.filter((row) => row.agent_id === agentId).map((row) => row.session_id)
      for (let hasMore = true; hasMore; ) {
        const part = await database.transact(tenantId, async (tx) => {
          if ((await lockAgent(tx, agentId)) === null) return { hasMore: false, sessions: 0 }
          const sessionIds = await lockIdleSessions(tx, { agentId, sessionIds: found, days })
          const erased = await eraseSessions(tx, { agentId, sessionIds, ...eraseBoundsUsual })
          return { hasMore: erased.hasMore, sessions: erased.hasMore ? 0 : sessionIds.length }
        })
        hasMore = part.hasMore
        purged += part.sessions
      }
    }
    return purged
  }

  const purgesOf = (tenantId: string, retention: Retention): readonly Purge[] => {
    type PurgeRows = (tx: TenantTransaction, batch: { days: number; limit: number }) => Promise<number>
    const rows = (kind: string, days: number | null, purge: PurgeRows): readonly Purge[] =>
      days === null
        ? []
        : [
            {
              kind,
              full: rowsAtOnce,
              run: () => database.transact(tenantId, (tx) => purge(tx, { days, limit: rowsAtOnce })),
            },
          ]
    const { sessionsDays, answersHours: olderThanHours } = retention
    return [
      ...(sessionsDays === null
        ? []
        : [{ kind: 'sessions', full: sessionsAtOnce, run: () => purgeSessions(tenantId, sessionsDays) }]),
      ...rows('steps', retention.stepsDays, purgeSteps),
      ...rows('context_edits', retention.messagesDays, purgeEdits),
      ...rows('audit_events', retention.auditDays, purgeAudit),
      ...rows('erasures', retention.auditDays, purgeErasures),
      ...(olderThanHours === null
        ? []
        : [
            {
              kind: 'stored_answers',
              full: rowsAtOnce,
              run: () => database.transact(tenantId, (tx) => purgeAnswers(tx, { limit: rowsAtOnce, olderThanHours })),
            },
          ]),
    ]
  }

  /** Until nothing is left, or the time is over; what is done by then stays done. Answers how many rows went, by kind. */
  return async (tenantId: string, retention: Retention, isOver: () => boolean): Promise<PurgedCounts> => {
    const counts: Record<string, number> = {}
    for (const { kind, full, run } of purgesOf(tenantId, retention))
      for (let purged = full; purged === full && !isOver(); ) {
        purged = await run()
        if (purged > 0) counts[kind] = (counts[kind] ?? 0) + purged
      }
    return counts
  }
}

export type HoldRetention = ReturnType<typeof createRetention>
