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
import { inSlices } from '../../shared/yielding.ts'
import { sessionClosed } from '../session/session.errors.ts'
import { advanceContext, findSession, lockSession, type StoredSession } from '../session/session.repository.ts'
import { ensureReachable } from '../session/session.service.ts'
import type { ContextMeasure } from '../session/session-types.ts'
import { contextConflict, contextVersionMismatch, refused } from './context.errors.ts'
import {
  insertMessages,
  moveMessages,
  readContextCalls,
  readContextMessages,
  type StoredMessage,
} from './context.repository.ts'
import { insertEdit, markUndone, type StoredEdit } from './context-edit.repository.ts'
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

const contextOf = ({ context, nextSequence }: StoredSession, messages: Context['messages']): Context => ({
  version: context.version,
  tokens: context.tokens,
  budgetTokens: context.budgetTokens,
  nextSequence,
  messages,
})

const readContext = async (tx: TenantTransaction, session: StoredSession): Promise<Context> =>
  contextOf(session, await readContextMessages(tx, session.sessionId))

/** What an append is planned on: only a tool message has to fit what stands in the context, and only calls and results. */
const readForAppend = async (
  tx: TenantTransaction,
  session: StoredSession,
  messages: readonly NewMessage[],
): Promise<Context> => {
  const needsCalls = messages.some(({ role }) => role === 'tool')
  return contextOf(session, needsCalls ? await readContextCalls(tx, session.sessionId) : [])
}

const ensureOpen = (session: StoredSession): StoredSession => {
  if (session.status === 'closed') throw sessionClosed()
  return session
}

const ensureExpected = (session: StoredSession, expected: ExpectedContext): void => {
  if (expected !== null && !isExpected(expected, session.context.version))
    throw contextVersionMismatch(session.context.version)
}

/** Does the long part of counting the messages' tokens, with turns for others. */
export const prepareCounts = (
  tokenizer: Tokenizer,
  messages: readonly Pick<NewMessage, 'content' | 'toolCalls'>[],
  signal?: AbortSignal,
): Promise<void> => {
  const texts = messages.flatMap(({ content, toolCalls }) => [
    content,
    ...(toolCalls ?? []).map((call) => call.function.arguments),
  ])
  return inSlices(tokenizer.prepare(texts), signal)
}

export const createContextStore = ({ database, tokenizer, createId }: ContextStoreOptions) => {
  const readSession = async (caller: Caller, sessionId: string): Promise<StoredSession> =>
    ensureReachable(caller, await database.transact(caller.tenantId, (tx) => findSession(tx, sessionId), caller))

  const readSnapshot = async (caller: Caller, sessionId: string): Promise<Snapshot> => {
    const [found, messages] = await database.read(
      caller.tenantId,
      (tx) => Promise.all([findSession(tx, sessionId), readContextMessages(tx, sessionId)]),
      caller,
    )
    const session = ensureReachable(caller, found)
    return { session, context: contextOf(session, messages) }
  }

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
    const { removed, restoredMessageIds, added, details } = plan
    const [edit] = await Promise.all([
      insertEdit(tx, { sessionId, editId, contextVersion: version, plan }),
      moveMessages(tx, { sessionId, editId, removed, restoredMessageIds }),
      added.length > 0 && insertMessages(tx, { sessionId, messages: added, enteredVersion: version }),
      details.kind === 'undo' && markUndone(tx, { sessionId, editId: details.undoneEditId, undoneBy: editId }),
    ])
    return { edit, context: session.context }
  }

  /** Appends to a session whose row is locked. */
  const appendTo = async (
    tx: TenantTransaction,
    session: StoredSession,
    messages: readonly NewMessage[],
  ): Promise<Appended> => {
    const context = await readForAppend(tx, session, messages)
    // Done before by whoever could, since a transaction is no place for it; then this costs nothing.
    await prepareCounts(tokenizer, messages)
    const planned = planAppend(context, { messages, countTokens: tokenizer.countMessage, createId })
    if (planned.outcome === 'refused') throw refused(planned)
    const { sessionId } = session
    const { added, tokensAfter: tokens } = planned
    const [advanced, stored] = await Promise.all([
      advanceContext(tx, { sessionId, fromVersion: context.version, tokens, messagesAdded: added.length }),
      insertMessages(tx, { sessionId, messages: added, enteredVersion: context.version + 1 }),
    ])
    if (advanced === null) throw contextConflict()
    return { messages: stored, session: advanced }
  }

  return {
    readContext,
    /** @throws AppError `session.not_found` (404) */
    readSession,
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
