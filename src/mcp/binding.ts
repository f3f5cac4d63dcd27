/**
 * Whose memory the door opens on. AgeMem-Session names a session; AgeMem-Agent an agent, whose standing session comes
 * into being with its first call, since most clients can send fixed headers and nothing else; with neither, each call
 * names its session.
 */
import { createHash } from 'node:crypto'
import type { SessionService } from '../modules/session/session.service.ts'
import type { Session } from '../modules/session/session-types.ts'
import type { RecallForm } from '../modules/tool/tool-run.ts'
import type { Caller } from '../shared/caller.ts'
import { sessionOfAnotherAgent } from './errors.ts'

export type Binding = { readonly sessionId: string | null; readonly agentId: string | null }

export type BindingHeaders = {
  readonly 'agemem-session'?: string | undefined
  readonly 'agemem-agent'?: string | undefined
}

export const bindingOf = (headers: BindingHeaders): Binding => ({
  sessionId: headers['agemem-session'] ?? null,
  agentId: headers['agemem-agent'] ?? null,
})

/** True when each call has to name its session. */
export const isUnbound = ({ sessionId, agentId }: Binding): boolean => sessionId === null && agentId === null

const sessionIdLengthMax = 128

/** A long agent id gives way to its hash, so that every agent has a standing session. */
export const standingSessionIdOf = (agentId: string): string => {
  const sessionId = `mcp-${agentId}`
  return sessionId.length <= sessionIdLengthMax
    ? sessionId
    : `mcp-${createHash('sha256').update(agentId).digest('hex')}`
}

type Sessions = Pick<SessionService, 'get' | 'open'>

const ensureOf = (session: Session, agentId: string | null): Session => {
  if (agentId !== null && session.agentId !== agentId) throw sessionOfAnotherAgent()
  return session
}

export type BoundSession = { readonly sessionId: string; readonly recall: RecallForm }

/**
 * The session of a call. What RETRIEVE finds enters the context of a session that the client named; a standing session
 * outlives conversations, so its context stays as it is.
 * @throws AppError `mcp.session_of_another_agent`, and those of sessions
 */
export const openBoundSession = async (
  sessions: Sessions,
  caller: Caller,
  { sessionId, agentId }: Binding,
): Promise<BoundSession | null> => {
  if (sessionId !== null) {
    if (agentId !== null) ensureOf(await sessions.get(caller, sessionId), agentId)
    return { sessionId, recall: { form: 'pair' } }
  }
  if (agentId === null) return null
  const standing = ensureOf(await sessions.open(caller, { sessionId: standingSessionIdOf(agentId), agentId }), agentId)
  return { sessionId: standing.sessionId, recall: { form: 'none' } }
}

/** The agent whose memories are listed as resources; null without one. */
export const boundAgentId = async (
  sessions: Sessions,
  caller: Caller,
  { sessionId, agentId }: Binding,
): Promise<string | null> =>
  sessionId === null ? agentId : ensureOf(await sessions.get(caller, sessionId), agentId).agentId
