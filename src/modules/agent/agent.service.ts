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
  findPendingErasure,
  lockAgent,
  lockSessions,
  type RemovedRows,
  saveErasure,
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

type ErasureRequest = {
  readonly agentId: string
  /** What the agent had there; null: what it has now. */
  readonly spaceId: string | null
  /** For the audit; null: with the whole tenant, whose own deletion is there. */
  readonly by: ErasureActor | null
}

type ErasureStep = { readonly erasure: Erasure; readonly hasMore: boolean }

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

  /** What one transaction takes of a large agent; the agent itself, when little is left. */
  const removePart = async (
    tx: TenantTransaction,
    { agentId, memories, sessions }: { agentId: string; memories: number; sessions: number },
  ): Promise<{ readonly removed: RemovedRows; readonly hasMore: boolean }> => {
    const isLarge = memories > batch.memories || sessions > batch.sessions
    const sessionIds = await lockSessions(tx, { agentId, limit: isLarge ? batch.sessions : null })
    const erased = await eraseSessions(tx, { agentId, sessionIds, ...eraseBounds })
    if (erased.hasMore) return erased
    const memoriesRemoved = isLarge ? await removeMemories(tx, { agentId, limit: batch.memories }) : 0
    if (memoriesRemoved > 0 || (isLarge && sessionIds.length > 0))
      return { removed: addRemoved(erased.removed, [{ store: 'memories', removed: memoriesRemoved }]), hasMore: true }
    return { removed: addRemoved(erased.removed, await eraseAgentRows(tx, agentId)), hasMore: false }
  }

  /** The receipt is begun with the first part, so that whoever finds it pending can go on with the next. */
  const eraseStep = async (
    tx: TenantTransaction,
    { agentId, spaceId, by, newErasureId }: ErasureRequest & { readonly newErasureId: string },
  ): Promise<ErasureStep | null> => {
    const agent = await lockAgent(tx, agentId)
    if (agent === null || agent.spaceId !== (spaceId ?? agent.spaceId)) return null
    const begun = await findPendingErasure(tx, agent.spaceId)
    const erasureId = begun?.erasureId ?? newErasureId
    if (begun === null && by !== null)
      await audit(tx, { action: 'agent.erase', agentId, details: { erasure_id: erasureId } }, by)
    const { removed, hasMore } = await removePart(tx, { agentId, ...agent })
    const stores = addRemoved(begun?.stores ?? [], removed)
    return { erasure: await saveErasure(tx, { erasureId, agentId, spaceId: agent.spaceId, stores }), hasMore }
  }

  /** Part by part, beside others that do the same. Null: there was nothing of it any more. */
  const eraseRows = async (tenantId: string, request: ErasureRequest): Promise<Erasure | null> => {
    const newErasureId = createId('era')
    const erasePart = (spaceId: string | null): Promise<ErasureStep | null> =>
      database.transact(tenantId, (tx) => eraseStep(tx, { ...request, spaceId, newErasureId }))
    let step = await erasePart(request.spaceId)
    let erasure = step?.erasure ?? null
    while (step?.hasMore) {
      step = await erasePart(step.erasure.spaceId)
      erasure = step?.erasure ?? erasure
    }
    if (erasure !== null) forgetTexts(tenantId)
    return erasure
  }

  /**
   * Empties the erased space in the index and closes the receipt. The database has forgotten the agent already; when the
   * index is away the erasure stays pending and is tried again.
   */
  const closeErasure = async (tenantId: string, erasure: Erasure): Promise<Erasure> => {
    const { erasureId, spaceId } = erasure
    try {
      const signal = AbortSignal.timeout(indexTimeoutMs)
      const pointsRemoved = await vectorIndex.removeSpace(tenantId, spaceId, { signal })
      const closed = await database.transact(
        tenantId,
        // Null: another process has closed it meanwhile.
        async (tx) => (await complete(tx, { erasureId, pointsRemoved })) ?? (await findErasure(tx, erasureId)),
      )
      return closed ?? erasure
    } catch (error) {
      if (isAppError(error)) return erasure
      throw error
    }
  }

  /** Null: there is no such agent. */
  const eraseAgent = async (
    tenantId: string,
    agent: { readonly agentId: string; readonly by: ErasureActor | null },
  ): Promise<Erasure | null> => {
    const erasure = await eraseRows(tenantId, { ...agent, spaceId: null })
    return erasure && closeErasure(tenantId, erasure)
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
      const erasure = await eraseAgent(caller.tenantId, { agentId, by: caller })
      if (erasure === null) throw agentNotFound()
      return erasure
    },

    getErasure: async (caller: Caller, erasureId: string): Promise<Erasure> => {
      const erasure = await database.transact(caller.tenantId, (tx) => findErasure(tx, erasureId), caller)
      if (erasure === null) throw erasureNotFound()
      return erasure
    },

    /** Goes on with an erasure that was cut short, or whose index was away. */
    finishErasure: async (tenantId: string, erasureId: string): Promise<Erasure> => {
      const erasure = await database.transact(tenantId, (tx) => findErasure(tx, erasureId))
      if (erasure === null) throw erasureNotFound()
      if (erasure.status === 'completed') return erasure
      const { agentId, spaceId } = erasure
      const latest = await eraseRows(tenantId, { agentId, spaceId, by: null })
      return closeErasure(tenantId, latest ?? erasure)
    },

    /** Erases every agent of a tenant, page by page; safe to repeat after a crash. */
    eraseAll: async (tenantId: string): Promise<void> => {
      for (;;) {
        const agents = await database.transact(tenantId, (tx) => listAgents(tx, { after: '', limit: 100, only: null }))
        if (agents.length === 0) return
        for (const { agentId } of agents) await eraseAgent(tenantId, { agentId, by: null })
      }
    },
  }
}
