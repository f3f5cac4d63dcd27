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
import { advanceContext, findSession, type StoredSession } from '../session/session.repository.ts'
import { ensureReachable } from '../session/session-access.ts'
import type { RunUnit, Unit } from '../session/units.ts'
import { contextConflict, contextTooLarge, contextVersionMismatch, refused } from './context.errors.ts'
import {
  insertMessages,
  moveMessages,
  readContextBytes,
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

export type AppliedEdit = { readonly edit: StoredEdit; readonly session: StoredSession }

export type Appended = { readonly messages: readonly StoredMessage[]; readonly session: StoredSession }

export type ContextStoreOptions = {
  readonly database: Database
  readonly tokenizer: Tokenizer
  readonly createId: CreateId
  readonly contextBytesMax: number
  readonly runUnit: RunUnit
}

/** A change of an open session, of its context or of its steps. */
export type Change<T> = Unit<T> & { readonly expected: ExpectedContext }

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

export const createContextStore = (options: ContextStoreOptions) => {
  const { database, tokenizer, createId, runUnit, contextBytesMax } = options
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

  const change = <T>(caller: Caller, { expected, work, ...unit }: Change<T>): Promise<T> =>
    runUnit(caller, {
      ...unit,
      work: async (tx, session) => {
        ensureExpected(ensureOpen(session), expected)
        return work(tx, session)
      },
    })

  /** The context under the lock: as it was read before, where it has not changed since. */
  const readUnchanged = async (
    tx: TenantTransaction,
    session: StoredSession,
    { context }: Pick<Snapshot, 'context'>,
  ): Promise<Context> => (session.context.version === context.version ? context : readContext(tx, session))

  /** A context that has become too large may get smaller, and nothing else. */
  const ensureFits = (before: StoredSession, bytes: number): void => {
    if (bytes > before.contextBytes && bytes > contextBytesMax) throw contextTooLarge(contextBytesMax)
  }

  /** Applies a plan made on `fromVersion`. @throws AppError `context.version_conflict` when that has passed */
  const applyEdit = async (
    tx: TenantTransaction,
    { sessionId, fromVersion, plan }: { sessionId: string; fromVersion: number; plan: EditPlan },
  ): Promise<AppliedEdit> => {
    const editId = createId('edt')
    const { tokensAfter: tokens, removed, restoredMessageIds, added, details } = plan
    const version = fromVersion + 1
    // All leave together: where the version has passed, the rest is rolled back.
    const advanced = advanceContext(tx, { sessionId, fromVersion, tokens, messagesAdded: added.length })
    const written = Promise.all([
      insertEdit(tx, { sessionId, editId, contextVersion: version, plan }),
      moveMessages(tx, { sessionId, editId, removed, restoredMessageIds }),
      added.length > 0 && insertMessages(tx, { sessionId, messages: added, enteredVersion: version }),
      details.kind === 'undo' && markUndone(tx, { sessionId, editId: details.undoneEditId, undoneBy: editId }),
      readContextBytes(tx, sessionId),
    ])
    written.catch(() => undefined)
    const session = await advanced
    if (session === null) throw contextConflict()
    const [edit, , , , bytes] = await written
    ensureFits(session, bytes)
    return { edit, session }
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
    const [advanced, stored, bytes] = await Promise.all([
      advanceContext(tx, { sessionId, fromVersion: context.version, tokens, messagesAdded: added.length }),
      insertMessages(tx, { sessionId, messages: added, enteredVersion: context.version + 1 }),
      readContextBytes(tx, sessionId),
    ])
    if (advanced === null) throw contextConflict()
    ensureFits(session, bytes)
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
    /** Runs `work` on the session under its lock. @throws AppError `session.closed`, `context.version_mismatch` */
    change,
    readUnchanged,
    applyEdit,
    appendTo,
  }
}
