/**
 * Reads a session's context and applies changes to it, inside the caller's transaction: what every verb and tool is made
 * of. A change is planned by a pure function on a snapshot and applied by comparing the snapshot's version and swapping
 * it for the next (C8): two edits of one version cannot both succeed.
 */
import type { Database, TenantTransaction } from '../../ports/database.ts'
import type { Tokenizer } from '../../ports/tokenizer.ts'
import type { Caller } from '../../shared/caller.ts'
import { type ExpectedVersion, isExpected } from '../../shared/expected-version.ts'
import type { CreateId } from '../../shared/ids.ts'
import { sessionClosed } from '../session/session.errors.ts'
import { advanceContext, findSession, lockSession, type StoredSession } from '../session/session.repository.ts'
import { ensureReachable } from '../session/session.service.ts'
import type { ContextMeasure } from '../session/session-types.ts'
import { contextConflict, contextVersionMismatch, refused } from './context.errors.ts'
import {
  insertEdit,
  insertMessages,
  markUndone,
  moveMessages,
  readContextMessages,
  type StoredEdit,
  type StoredMessage,
} from './context.repository.ts'
import type { Context, EditPlan } from './context-types.ts'
import { type NewMessage, planAppend } from './plan-append.ts'

export type Snapshot = { readonly session: StoredSession; readonly context: Context }

/** Null: whichever version it is. */
export type ExpectedContext = ExpectedVersion | null

export type AppliedEdit = { readonly edit: StoredEdit; readonly context: ContextMeasure }

export type Appended = { readonly messages: readonly StoredMessage[]; readonly session: StoredSession }

export type ContextStoreOptions = {
  readonly database: Database
  readonly tokenizer: Tokenizer
  readonly createId: CreateId
}

export type ContextStore = ReturnType<typeof createContextStore>

const readContext = async (tx: TenantTransaction, session: StoredSession): Promise<Context> => ({
  version: session.context.version,
  tokens: session.context.tokens,
  budgetTokens: session.context.budgetTokens,
  nextSequence: session.nextSequence,
  messages: await readContextMessages(tx, session.sessionId),
})

const ensureOpen = (session: StoredSession): StoredSession => {
  if (session.status === 'closed') throw sessionClosed()
  return session
}

const ensureExpected = (session: StoredSession, expected: ExpectedContext): void => {
  if (expected !== null && !isExpected(expected, session.context.version))
    throw contextVersionMismatch(session.context.version)
}

export const createContextStore = ({ database, tokenizer, createId }: ContextStoreOptions) => {
  const readSnapshot = async (caller: Caller, sessionId: string): Promise<Snapshot> =>
    database.read(
      caller.tenantId,
      async (tx) => {
        const session = ensureReachable(caller, await findSession(tx, sessionId))
        return { session, context: await readContext(tx, session) }
      },
      caller,
    )

  const lockOpen = async (
    tx: TenantTransaction,
    caller: Caller,
    { sessionId, expected }: { sessionId: string; expected: ExpectedContext },
  ): Promise<StoredSession> => {
    const session = ensureOpen(ensureReachable(caller, await lockSession(tx, sessionId)))
    ensureExpected(session, expected)
    return session
  }

  /** Applies a plan made on `fromVersion`. @throws AppError `context.version_conflict` when that has passed */
  const applyEdit = async (
    tx: TenantTransaction,
    { sessionId, fromVersion, plan }: { sessionId: string; fromVersion: number; plan: EditPlan },
  ): Promise<AppliedEdit> => {
    const session = await advanceContext(tx, {
      sessionId,
      fromVersion,
      tokens: plan.tokensAfter,
      messagesAdded: plan.added.length,
    })
    if (session === null) throw contextConflict()
    const editId = createId('edt')
    const { version } = session.context
    await moveMessages(tx, { sessionId, editId, removed: plan.removed, restoredMessageIds: plan.restoredMessageIds })
    if (plan.added.length > 0) await insertMessages(tx, { sessionId, messages: plan.added, enteredVersion: version })
    if (plan.details.kind === 'undo')
      await markUndone(tx, { sessionId, editId: plan.details.undoneEditId, undoneBy: editId })
    const edit = await insertEdit(tx, { sessionId, editId, contextVersion: version, plan })
    return { edit, context: session.context }
  }

  /** Appends to a session whose row is locked. */
  const appendTo = async (
    tx: TenantTransaction,
    session: StoredSession,
    messages: readonly NewMessage[],
  ): Promise<Appended> => {
    const context = await readContext(tx, session)
    const planned = planAppend(context, { messages, countTokens: tokenizer.countMessage, createId })
    if (planned.outcome === 'refused') throw refused(planned)
    const advanced = await advanceContext(tx, {
      sessionId: session.sessionId,
      fromVersion: context.version,
      tokens: planned.tokensAfter,
      messagesAdded: planned.added.length,
    })
    if (advanced === null) throw contextConflict()
    const stored = await insertMessages(tx, {
      sessionId: session.sessionId,
      messages: planned.added,
      enteredVersion: advanced.context.version,
    })
    return { messages: stored, session: advanced }
  }

  return {
    readContext,
    readSnapshot,
    /** @throws AppError `context.version_mismatch` */
    ensureExpected,
    /** @throws AppError `session.closed` */
    ensureOpen,
    /** The session under its lock. @throws AppError `session.closed`, `context.version_mismatch` */
    lockOpen,
    /** The context under the session's lock, for an edit that is planned and applied in this transaction. */
    lockContext: async (tx: TenantTransaction, caller: Caller, sessionId: string): Promise<Context> =>
      readContext(tx, await lockOpen(tx, caller, { sessionId, expected: null })),
    applyEdit,
    appendTo,
  }
}
