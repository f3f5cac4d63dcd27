import type { Database, TenantTransaction } from '../../ports/database.ts'
import type { VectorIndex } from '../../ports/vector-index.ts'
import type { Caller } from '../../shared/caller.ts'
import { isAppError } from '../../shared/errors.ts'
import type { CreateId } from '../../shared/ids.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../../shared/page.ts'
import { insertAuditEvent } from '../tenant/audit.repository.ts'
import { agentNotFound, erasureNotFound } from './agent.errors.ts'
import { findAgent, listAgents, updateAgent } from './agent.repository.ts'
import type { Agent, AgentDefaults, Erasure } from './agent-types.ts'
import {
  addRemoved,
  completeErasure,
  type EraseBounds,
  eraseAgentRows,
  eraseBoundsUsual,
  eraseSessions,
  findErasure,
  insertErasure,
  lockAgent,
  lockSessions,
  type RemovedRows,
} from './erasure.repository.ts'

export type AgentServiceOptions = {
  readonly database: Database
  readonly vectorIndex: VectorIndex
  readonly createId: CreateId
  readonly indexTimeoutMs: number
  /** Removes up to `limit` memories of an agent whose row is locked. */
  readonly removeMemories: (
    tx: TenantTransaction,
    options: { readonly agentId: string; readonly limit: number },
  ) => Promise<number>
  /** Empties what this process keeps of texts outside the stores. */
  readonly forgetTexts: (tenantId: string) => void
  readonly eraseBounds?: EraseBounds
}

type ErasureActor = Pick<Caller, 'actor' | 'requestId'>

/** Completes what was asked for, by itself and maybe long after. */
const theService: ErasureActor = { actor: 'service', requestId: '' }

type ErasureStep = {
  readonly agentId: string
  readonly erasureId: string
  /** What the steps before have removed. */
  readonly before: RemovedRows
  readonly by: ErasureActor | null
}

/** Of an agent that has more than these, so much is removed at a time, so that no deadline throws all of it away. */
const batch = { memories: 2_000, sessions: 100 }

export type AgentService = ReturnType<typeof createAgentService>

export const createAgentService = (options: AgentServiceOptions) => {
  const { database, vectorIndex, createId, indexTimeoutMs, removeMemories, forgetTexts } = options
  const { eraseBounds = eraseBoundsUsual } = options

  /** The agent's id stands there as long as in the receipt: until the tenant itself is deleted. */
  const audit = (
    tx: TenantTransaction,
    event: { readonly action: string; readonly agentId: string; readonly details: Readonly<Record<string, unknown>> },
    { actor, requestId }: ErasureActor,
  ): Promise<void> => {
    const { agentId, ...rest } = event
    const named = { target: agentId, agentIds: agentId === '' ? null : [agentId] }
    return insertAuditEvent(tx, { auditEventId: createId('aud'), ...rest, ...named, actor, requestId })
  }

  const complete = async (
    tx: TenantTransaction,
    { erasureId, pointsRemoved }: { erasureId: string; pointsRemoved: number },
  ): Promise<Erasure | null> => {
    const erasure = await completeErasure(tx, { erasureId, pointsRemoved })
    if (erasure === null) return null
    const { agentId, stores } = erasure
    await audit(tx, { action: 'agent.erase.complete', agentId, details: { erasure_id: erasureId, stores } }, theService)
    return erasure
  }

  /**
   * Empties the erased space in the index and closes the receipt. The database has forgotten the agent already, so
   * until then nothing of it can be read; when the index is away the erasure stays pending and is tried again.
   */
  const finishErasure = async (tenantId: string, erasureId: string): Promise<Erasure> => {
    const erasure = await database.transact(tenantId, (tx) => findErasure(tx, erasureId))
    if (erasure === null) throw erasureNotFound()
    if (erasure.status === 'completed') return erasure
    try {
      const signal = AbortSignal.timeout(indexTimeoutMs)
      const pointsRemoved = await vectorIndex.removeSpace(tenantId, erasure.spaceId, { signal })
      const completed = await database.transact(tenantId, (tx) => complete(tx, { erasureId, pointsRemoved }))
      return completed ?? erasure
    } catch (error) {
      if (isAppError(error)) return erasure
      throw error
    }
  }

  /** A batch of what a large agent has, with what was removed so far; the agent itself, when little is left. */
  const eraseStep = async (
    tx: TenantTransaction,
    { agentId, erasureId, before, by }: ErasureStep,
  ): Promise<Erasure | { readonly removed: RemovedRows } | null> => {
    const has = await lockAgent(tx, agentId)
    if (has === null) return null
    if (before.length === 0 && by !== null)
      await audit(tx, { action: 'agent.erase', agentId, details: { erasure_id: erasureId } }, by)
    const isLarge = has.memories > batch.memories || has.sessions > batch.sessions
    const sessionIds = await lockSessions(tx, { agentId, limit: isLarge ? batch.sessions : null })
    const erased = await eraseSessions(tx, { agentId, sessionIds, ...eraseBounds })
    const sessions = addRemoved(before, erased.removed)
    if (erased.hasMore) return { removed: sessions }
    const memories = isLarge ? await removeMemories(tx, { agentId, limit: batch.memories }) : 0
    if (memories > 0 || (isLarge && sessionIds.length > 0))
      return { removed: addRemoved(sessions, [{ store: 'memories', removed: memories }]) }
    const { spaceId, removed } = await eraseAgentRows(tx, agentId)
    return insertErasure(tx, { erasureId, agentId, spaceId, stores: addRemoved(sessions, removed) })
  }

  /** `by`: for the audit; null: with the whole tenant, whose own deletion is there. */
  const eraseRows = async (tenantId: string, agentId: string, by: ErasureActor | null): Promise<Erasure | null> => {
    const erasureId = createId('era')
    let removed: RemovedRows = []
    for (;;) {
      const step = await database.transact(tenantId, (tx) => eraseStep(tx, { agentId, erasureId, before: removed, by }))
      if (step !== null && 'removed' in step) {
        removed = step.removed
        continue
      }
      if (step !== null) forgetTexts(tenantId)
      return step
    }
  }

  return {
    list: async (caller: Caller, { cursor, limit }: PageRequest): Promise<Page<Agent>> => {
      const [after] = decodeCursor({ list: 'agents', cursor }, [''] as readonly [string])
      const rows = await database.transact(
        caller.tenantId,
        (tx) => listAgents(tx, { after, limit: limit + 1, only: caller.agentIds }),
        caller,
      )
      return pageOf(rows, { list: 'agents', limit, keysOf: (agent) => [agent.agentId] })
    },

    get: async (caller: Caller, agentId: string): Promise<Agent> => {
      const agent = await database.transact(caller.tenantId, (tx) => findAgent(tx, agentId), caller)
      if (agent === null) throw agentNotFound()
      return agent
    },

    update: async (
      caller: Caller,
      {
        agentId,
        metadata,
        defaults,
      }: { agentId: string; metadata: Readonly<Record<string, unknown>> | null; defaults: AgentDefaults | null },
    ): Promise<Agent> => {
      const agent = await database.transact(
        caller.tenantId,
        (tx) => updateAgent(tx, { agentId, metadata, defaults }),
        caller,
      )
      if (agent === null) throw agentNotFound()
      return agent
    },

    erase: async (caller: Caller, agentId: string): Promise<Erasure> => {
      const erasure = await eraseRows(caller.tenantId, agentId, caller)
      if (erasure === null) throw agentNotFound()
      return finishErasure(caller.tenantId, erasure.erasureId)
    },

    getErasure: async (caller: Caller, erasureId: string): Promise<Erasure> => {
      const erasure = await database.transact(caller.tenantId, (tx) => findErasure(tx, erasureId), caller)
      if (erasure === null) throw erasureNotFound()
      return erasure
    },

    finishErasure,

    /** Erases every agent of a tenant, page by page; safe to repeat after a crash. */
    eraseAll: async (tenantId: string): Promise<void> => {
      for (;;) {
        const agents = await database.transact(tenantId, (tx) => listAgents(tx, { after: '', limit: 100, only: null }))
        if (agents.length === 0) return
        for (const { agentId } of agents) {
          const erasure = await eraseRows(tenantId, agentId, null)
          if (erasure !== null) await finishErasure(tenantId, erasure.erasureId)
        }
      }
    },
  }
}
