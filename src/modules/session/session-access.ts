import type { Caller } from '../../shared/caller.ts'
import { sessionNotFound } from './session.errors.ts'
import type { StoredSession } from './session.repository.ts'

/** The session, when it is there and the key may see its agent. A foreign one is a missing one. */
export const ensureReachable = (caller: Caller, session: StoredSession | null): StoredSession => {
  if (session === null) throw sessionNotFound()
  if (caller.agentIds !== null && !caller.agentIds.includes(session.agentId)) throw sessionNotFound()
  return session
}
