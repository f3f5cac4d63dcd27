/**
 * A unit of work on a session: one short transaction that begins with all its locks. Two things hold for every unit,
 * whichever way it came in:
 *
 *   Order. Locks are taken in one order by everybody: the agent's row, the session's row, then what hangs on them, and
 *   the row of the Idempotency-Key last. So no two units ever wait for each other in a circle (A4).
 *   Now. `work` is given the session as it is under the lock, and decides by that: what was read before may have passed.
 *
 * Who waits for a row waits here, in this process, and not with a connection in hand: of all units of one session, and of
 * all that write memories of one agent, two are in the database at a time. One works, the next stands ready at the lock.
 */
import type { Database, TenantTransaction } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import { createFairSlots, type FairSlots } from '../../shared/fair-slots.ts'
import type { Commit } from '../idempotency/idempotency.service.ts'
import { sessionCrowded, sessionNotFound } from './session.errors.ts'
import { lockSession, lockSessionWithAgent, type StoredSession } from './session.repository.ts'
import { ensureReachable } from './session-access.ts'
import type { Session } from './session-types.ts'

/** Per session, and per agent whose memories are written. */
const inDatabaseMax = 2
/** Per process, over all sessions; beyond it the youngest of the longest line is turned away. */
const waitingMax = 2_000

/** A session as it was read before; where that life of it has ended meanwhile, there is no such session. */
export type SessionRef = Pick<Session, 'sessionId'> & Partial<Pick<Session, 'agentId' | 'createdAt'>>

export type Unit<T> = {
  readonly session: SessionRef
  /** The agent whose memories the unit writes, so that its row is taken too; null: none. */
  readonly writesMemoryOf: string | null
  /** Nothing but SQL; may run again from its beginning. */
  readonly work: (tx: TenantTransaction, session: StoredSession) => Promise<T>
  /** How the transaction is run, where not by itself: together with the answer under an Idempotency-Key. */
  readonly commit?: Commit<T>
}

/** @throws AppError `session.not_found` (404), `session.crowded` (503) */
export type RunUnit = <T>(caller: Caller, unit: Unit<T>) => Promise<T>

const isSameLife = (session: StoredSession, { agentId, createdAt }: SessionRef): boolean =>
  (agentId === undefined || agentId === session.agentId) && (createdAt === undefined || createdAt === session.createdAt)

/** Places by session or agent, which take turns as tenants do elsewhere. */
const createPlaces = (): FairSlots =>
  createFairSlots({
    runningMax: Number.POSITIVE_INFINITY,
    runningPerTenantMax: inDatabaseMax,
    waitingMax,
    turnedAway: sessionCrowded,
  })

export const createRunUnit = ({ database }: { readonly database: Database }): RunUnit => {
  const bySession = createPlaces()
  const byAgent = createPlaces()

  return (caller, { session: ref, writesMemoryOf, work, commit }) => {
    const { tenantId, signal } = caller
    const { sessionId } = ref
    const transact = commit ?? ((inside) => database.transact(tenantId, inside, caller))
    const run = () =>
      transact(async (tx) => {
        const locked =
          writesMemoryOf === null
            ? await lockSession(tx, sessionId)
            : await lockSessionWithAgent(tx, { sessionId, agentId: writesMemoryOf })
        const session = ensureReachable(caller, locked)
        if (!isSameLife(session, ref)) throw sessionNotFound()
        return work(tx, session)
      })
    // Session first: who waits for the agent holds up its own session and no other of the agent's.
    const runInAgentsTurn =
      writesMemoryOf === null ? run : () => byAgent.use(`${tenantId} ${writesMemoryOf}`, run, signal)
    return bySession.use(`${tenantId} ${sessionId}`, runInAgentsTurn, signal)
  }
}
