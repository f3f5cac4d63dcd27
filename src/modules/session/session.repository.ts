import type { TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'
import type { Session, SessionOptions, SessionStatus } from './session-types.ts'

type SessionRow = {
  readonly session_id: string
  readonly agent_id: string
  readonly status: SessionStatus
  readonly options: SessionOptions
  readonly metadata: Record<string, unknown>
  readonly context_version: number
  readonly context_tokens: number
  readonly context_bytes: number
  readonly budget_tokens: number
  readonly next_sequence: number
  readonly next_step: number
  readonly created_at: string
  readonly updated_at: string
  readonly closed_at: string | null
}

export type StoredSession = Session & {
  readonly nextSequence: number
  readonly nextStep: number
  /** What reading its context takes. */
  readonly contextBytes: number
}

const toSession = (row: SessionRow): StoredSession => ({
  sessionId: row.session_id,
  agentId: row.agent_id,
  status: row.status,
  options: row.options,
  metadata: row.metadata,
  context: {
    version: row.context_version,
    tokens: row.context_tokens,
    budgetTokens: row.budget_tokens,
    pressure: row.context_tokens / row.budget_tokens,
  },
  nextSequence: row.next_sequence,
  nextStep: row.next_step,
  contextBytes: row.context_bytes,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  closedAt: row.closed_at,
})

/** Null when the tenant has a session with that id. */
export const insertSession = async (
  tx: TenantTransaction,
  session: Pick<Session, 'sessionId' | 'agentId' | 'options' | 'metadata'> & { readonly budgetTokens: number },
): Promise<StoredSession | null> => {
  const rows = await tx.query<SessionRow>(sql`
    insert into session (tenant_id, session_id, agent_id, options, metadata, budget_tokens)
    values (${tx.tenantId}, ${session.sessionId}, ${session.agentId}, ${JSON.stringify(session.options)}::jsonb,
      ${JSON.stringify(session.metadata)}::jsonb, ${session.budgetTokens})
    on conflict do nothing returning *`)
  return rows[0] === undefined ? null : toSession(rows[0])
}

export const findSession = async (tx: TenantTransaction, sessionId: string): Promise<StoredSession | null> => {
  const rows = await tx.query<SessionRow>(sql`
    select * from session where tenant_id = ${tx.tenantId} and session_id = ${sessionId} and not erasing`)
  return rows[0] === undefined ? null : toSession(rows[0])
}

/** The session with its row locked: changes of one session happen one after another. */
export const lockSession = async (tx: TenantTransaction, sessionId: string): Promise<StoredSession | null> => {
  const rows = await tx.query<SessionRow>(sql`
    select * from session where tenant_id = ${tx.tenantId} and session_id = ${sessionId} and not erasing
    for no key update`)
  return rows[0] === undefined ? null : toSession(rows[0])
}

/**
 * The session with its agent's row and its own locked, in this order: the rows of a subquery are locked as they are
 * read, those of the query itself when they are joined. Null also when the session is another agent's.
 */
export const lockSessionWithAgent = async (
  tx: TenantTransaction,
  { sessionId, agentId }: { sessionId: string; agentId: string },
): Promise<StoredSession | null> => {
  const rows = await tx.query<SessionRow>(sql`
    select session.* from (
      select tenant_id, agent_id from agent
      where tenant_id = ${tx.tenantId} and agent_id = ${agentId} for no key update
    ) as owner
    join session on session.tenant_id = owner.tenant_id and session.agent_id = owner.agent_id
    where session.tenant_id = ${tx.tenantId} and session.session_id = ${sessionId} and not erasing
    for no key update of session`)
  return rows[0] === undefined ? null : toSession(rows[0])
}

export const listSessions = async (
  tx: TenantTransaction,
  filter: {
    readonly agentId: string | null
    readonly status: SessionStatus | null
    /** Agents that the key is bound to; null: all. */
    readonly only: readonly string[] | null
    readonly after: string
    readonly limit: number
  },
): Promise<readonly StoredSession[]> => {
  const rows = await tx.query<SessionRow>(sql`
    select * from session
    where tenant_id = ${tx.tenantId} and not erasing and session_id > ${filter.after} collate "C"
      and (${filter.agentId}::text is null or agent_id = ${filter.agentId})
      and (${filter.status}::text is null or status = ${filter.status})
      and (${filter.only}::text[] is null or agent_id = any(${filter.only}::text[]))
    order by session_id collate "C" limit ${filter.limit}`)
  return rows.map(toSession)
}

export const closeSession = async (tx: TenantTransaction, sessionId: string): Promise<StoredSession | null> => {
  const rows = await tx.query<SessionRow>(sql`
    update session set status = 'closed', closed_at = coalesce(closed_at, now()), updated_at = now()
    where tenant_id = ${tx.tenantId} and session_id = ${sessionId} returning *`)
  return rows[0] === undefined ? null : toSession(rows[0])
}

/** Moves the context on by one version, if it still is at `fromVersion`. */
export const advanceContext = async (
  tx: TenantTransaction,
  change: {
    readonly sessionId: string
    readonly fromVersion: number
    readonly tokens: number
    readonly messagesAdded: number
  },
): Promise<StoredSession | null> => {
  const rows = await tx.query<SessionRow>(sql`
    update session set context_version = context_version + 1, context_tokens = ${change.tokens},
      next_sequence = next_sequence + ${change.messagesAdded}, updated_at = now()
    where tenant_id = ${tx.tenantId} and session_id = ${change.sessionId} and status = 'open'
      and context_version = ${change.fromVersion}
    returning *`)
  return rows[0] === undefined ? null : toSession(rows[0])
}
