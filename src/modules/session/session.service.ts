import type { Database, TenantTransaction } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import type { CreateId } from '../../shared/ids.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../../shared/page.ts'
import { countSession, ensureAgent } from '../agent/agent.repository.ts'
import { ensureAgentAllowed } from '../agent/agent-access.ts'
import type { Idempotency } from '../idempotency/idempotency.service.ts'
import { sessionExists } from './session.errors.ts'
import { closeSession, findSession, insertSession, listSessions, type StoredSession } from './session.repository.ts'
import { ensureReachable } from './session-access.ts'
import type { Session, SessionOptions, SessionStatus } from './session-types.ts'

export type NewSession = {
  readonly agentId: string
  readonly sessionId?: string | undefined
  readonly budgetTokens?: number | undefined
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
  readonly options?: SessionOptions | undefined
}

export type SessionServiceOptions = {
  readonly database: Database
  readonly idempotency: Idempotency
  readonly createId: CreateId
  readonly defaultBudgetTokens: number
}

/** Puts the session's first messages into its context, in the transaction that creates it. */
export type StartContext = (tx: TenantTransaction, session: StoredSession) => Promise<Session>

export type SessionService = ReturnType<typeof createSessionService>

export const createSessionService = ({
  database,
  idempotency,
  createId,
  defaultBudgetTokens,
}: SessionServiceOptions) => {
  const optionsFor = (defaults: { filterThreshold?: number; topK?: number }, own: SessionOptions | undefined) => ({
    ...(defaults.filterThreshold === undefined ? {} : { filterThreshold: defaults.filterThreshold }),
    ...(defaults.topK === undefined ? {} : { topK: defaults.topK }),
    ...own,
  })

  const find = (caller: Caller, sessionId: string): Promise<StoredSession | null> =>
    database.transact(caller.tenantId, (tx) => findSession(tx, sessionId), caller)

  const get = async (caller: Caller, sessionId: string): Promise<Session> =>
    ensureReachable(caller, await find(caller, sessionId))

  /** Null: there is one with that id. */
  const insert = async (tx: TenantTransaction, input: NewSession): Promise<StoredSession | null> => {
    const { agentId } = input
    const agent = await ensureAgent(tx, { agentId, spaceId: createId('spc') })
    const session = await insertSession(tx, {
      sessionId: input.sessionId ?? createId('ses'),
      agentId,
      options: optionsFor(agent.defaults, input.options),
      metadata: input.metadata ?? {},
      budgetTokens: input.budgetTokens ?? agent.defaults.budgetTokens ?? defaultBudgetTokens,
    })
    if (session !== null) await countSession(tx, agentId)
    return session
  }

  return {
    create: async (caller: Caller, input: NewSession, startContext: StartContext): Promise<Session> => {
      ensureAgentAllowed(caller, input.agentId)
      return idempotency.runOnce<Session>(caller, {
        agentId: input.agentId,
        operation: (commit) =>
          commit(async (tx) => {
            const session = await insert(tx, input)
            if (session === null) throw sessionExists()
            return startContext(tx, session)
          }),
      })
    },

    /**
     * The session of that id, which comes into being where there is none; the first of several calls at once creates it.
     * It may be another agent's: whoever opens it looks.
     */
    open: async (caller: Caller, { sessionId, agentId }: { sessionId: string; agentId: string }): Promise<Session> => {
      const found = await find(caller, sessionId)
      if (found !== null) return ensureReachable(caller, found)
      ensureAgentAllowed(caller, agentId)
      const opened = await database.transact(
        caller.tenantId,
        async (tx) => (await insert(tx, { sessionId, agentId })) ?? findSession(tx, sessionId),
        caller,
      )
      return ensureReachable(caller, opened)
    },

    get,

    list: async (
      caller: Caller,
      { agentId, status }: { agentId: string | null; status: SessionStatus | null },
      { cursor, limit }: PageRequest,
    ): Promise<Page<Session>> => {
      const [after] = decodeCursor({ list: 'sessions', cursor }, [''] as readonly [string])
      const rows = await database.transact(
        caller.tenantId,
        (tx) => listSessions(tx, { agentId, status, only: caller.agentIds, after, limit: limit + 1 }),
        caller,
      )
      return pageOf(rows, { list: 'sessions', limit, keysOf: (session) => [session.sessionId] })
    },

    /** Closing twice is closing once. */
    close: async (caller: Caller, sessionId: string): Promise<Session> => {
      const { agentId } = await get(caller, sessionId)
      return idempotency.runOnce<Session>(caller, {
        agentId,
        // One statement, which takes the one lock itself.
        operation: (commit) => commit(async (tx) => ensureReachable(caller, await closeSession(tx, sessionId))),
      })
    },
  }
}
