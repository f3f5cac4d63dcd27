/**
 * The context manager. A change is planned by a pure function on a snapshot and applied in one short transaction that
 * compares the snapshot's version and swaps it for the next (C8): two edits of one version cannot both succeed. Appends,
 * pins and resets carry no plan of the client's, so they take the session's lock and never conflict, unless the client
 * itself names a version with If-Match.
 */
import type { Database, TenantTransaction } from '../../ports/database.ts'
import type { Tokenizer } from '../../ports/tokenizer.ts'
import type { Caller } from '../../shared/caller.ts'
import { brokenInvariant, isAppError } from '../../shared/errors.ts'
import type { CreateId } from '../../shared/ids.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../../shared/page.ts'
import type { Idempotency } from '../idempotency/idempotency.service.ts'
import { sessionClosed } from '../session/session.errors.ts'
import { advanceContext, findSession, lockSession, type StoredSession } from '../session/session.repository.ts'
import { ensureReachable } from '../session/session.service.ts'
import type { ContextMeasure, Session } from '../session/session-types.ts'
import {
  contextConflict,
  contextVersionMismatch,
  editNotFound,
  messageNotFound,
  messageNotInContext,
  refused,
} from './context.errors.ts'
import {
  findEdit,
  findMessages,
  insertEdit,
  insertMessages,
  listEdits,
  listMessages,
  markUndone,
  moveMessages,
  readContextMessages,
  type StoredEdit,
  type StoredMessage,
  setPinned,
} from './context.repository.ts'
import type { Context, EditPlan, PlannedEdit, Refusal, SummaryWriter, Unchanged } from './context-types.ts'
import { type NewMessage, planAppend } from './plan-append.ts'
import { planReset } from './plan-reset.ts'
import { planSummary, selectSummarySpan, summaryTokensMax } from './plan-summary.ts'
import { planUndo } from './plan-undo.ts'
import type { SummaryStyle } from './summarize-extractively.ts'

export type Snapshot = { readonly session: StoredSession; readonly context: Context }

export type WrittenSummary = { readonly text: string; readonly writtenBy: SummaryWriter }

/** Writes one summary of the messages, in order; never fails for want of a model. */
export type Summarize = (
  messages: Context['messages'],
  options: { readonly maxTokens: number; readonly style: SummaryStyle; readonly signal: AbortSignal },
) => Promise<WrittenSummary>

export type ExpectedContext = number | '*' | null

export type AppliedEdit = { readonly edit: StoredEdit; readonly context: ContextMeasure }

export type ContextServiceOptions = {
  readonly database: Database
  readonly idempotency: Idempotency
  readonly tokenizer: Tokenizer
  readonly summarize: Summarize
  readonly createId: CreateId
}

export type ContextService = ReturnType<typeof createContextService>

/** A summary may take this share of the tokens it replaces. */
const summaryShare = 0.25
const summaryTokensMin = 48

export const createContextService = ({
  database,
  idempotency,
  tokenizer,
  summarize,
  createId,
}: ContextServiceOptions) => {
  const readContext = async (tx: TenantTransaction, session: StoredSession): Promise<Context> => ({
    version: session.context.version,
    tokens: session.context.tokens,
    budgetTokens: session.context.budgetTokens,
    nextSequence: session.nextSequence,
    messages: await readContextMessages(tx, session.sessionId),
  })

  const readSnapshot = async (caller: Caller, sessionId: string): Promise<Snapshot> =>
    database.read(
      caller.tenantId,
      async (tx) => {
        const session = ensureReachable(caller, await findSession(tx, sessionId))
        return { session, context: await readContext(tx, session) }
      },
      caller,
    )

  const ensureOpen = (session: StoredSession): StoredSession => {
    if (session.status === 'closed') throw sessionClosed()
    return session
  }

  const ensureExpected = (session: StoredSession, expected: ExpectedContext): void => {
    if (typeof expected === 'number' && expected !== session.context.version)
      throw contextVersionMismatch(session.context.version)
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
    await moveMessages(tx, { sessionId, editId, removed: plan.removed, restoredMessageIds: plan.restoredMessageIds })
    if (plan.added.length > 0) await insertMessages(tx, { sessionId, messages: plan.added, enteredVersion: version })
    if (plan.details.kind === 'undo')
      await markUndone(tx, { sessionId, editId: plan.details.undoneEditId, undoneBy: editId })
    const edit = await insertEdit(tx, { sessionId, editId, contextVersion: version, plan })
    return { edit, context: session.context }
  }

  const appendTo = async (
    tx: TenantTransaction,
    session: StoredSession,
    messages: readonly NewMessage[],
  ): Promise<{ readonly messages: readonly StoredMessage[]; readonly session: StoredSession }> => {
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

  /** A summary of the span, planned on the snapshot; the text is written with no transaction open. */
  const prepareSummary = async (
    { session, context }: Snapshot,
    { span, callerMessageId, signal }: { span: unknown; callerMessageId: string | null; signal: AbortSignal },
  ): Promise<{ readonly plan: EditPlan; readonly written: WrittenSummary } | Refusal> => {
    const selected = selectSummarySpan(context, { span, callerMessageId })
    if (selected.outcome === 'refused') return selected
    const style = session.options.summaryStyle ?? 'bullets'
    const wanted = Math.max(summaryTokensMin, Math.floor(selected.tokens * summaryShare))
    const maxTokens = Math.min(wanted, summaryTokensMax(selected, tokenizer.countMessage))
    const written = await summarize(selected.messages, { maxTokens, style, signal })
    const planned = planSummary(context, {
      span: selected,
      summaryText: written.text,
      writtenBy: written.writtenBy,
      countTokens: tokenizer.countMessage,
      createId,
    })
    return planned.outcome === 'refused' ? planned : { plan: planned.plan, written }
  }

  /** When the session asks for it, an append that fills the context is followed by a summary of all of it. */
  const summarizeUnderPressure = async (caller: Caller, session: StoredSession): Promise<ContextMeasure> => {
    const { autoSummaryAt } = session.options
    if (autoSummaryAt === undefined || session.context.pressure < autoSummaryAt) return session.context
    const snapshot = await readSnapshot(caller, session.sessionId)
    const prepared = await prepareSummary(snapshot, { span: 'all', callerMessageId: null, signal: caller.signal })
    if ('outcome' in prepared) return snapshot.session.context
    const fromVersion = snapshot.context.version
    try {
      const applied = await database.transact(caller.tenantId, (tx) =>
        applyEdit(tx, { sessionId: session.sessionId, fromVersion, plan: prepared.plan }),
      )
      return applied.context
    } catch (error) {
      if (!isAppError(error, 'context.version_conflict')) throw error
      return snapshot.session.context
    }
  }

  /** Plans and applies under the session's lock: for edits that need no slow preparation. */
  const editLocked = async (
    caller: Caller,
    {
      sessionId,
      expected,
      plan,
    }: {
      sessionId: string
      expected: ExpectedContext
      plan: (tx: TenantTransaction, context: Context) => Promise<PlannedEdit | Unchanged | Refusal>
    },
  ): Promise<{ readonly edit: StoredEdit | null; readonly session: Session }> => {
    const { agentId } = (await readSnapshot(caller, sessionId)).session
    return idempotency.runOnce(caller, {
      agentId,
      operation: (commit) =>
        commit(async (tx) => {
          const session = await lockOpen(tx, caller, { sessionId, expected })
          const context = await readContext(tx, session)
          const planned = await plan(tx, context)
          if (planned.outcome === 'refused') throw refused(planned)
          if (planned.outcome === 'unchanged') return { edit: null, session }
          const applied = await applyEdit(tx, { sessionId, fromVersion: context.version, plan: planned.plan })
          return { edit: applied.edit, session: { ...session, context: applied.context } }
        }),
    })
  }

  return {
    readSnapshot,
    ensureOpen,
    lockOpen,
    /** The context under the session's lock, for an edit that is planned and applied in this transaction. */
    lockContext: async (tx: TenantTransaction, caller: Caller, sessionId: string): Promise<Context> =>
      readContext(tx, await lockOpen(tx, caller, { sessionId, expected: null })),
    applyEdit,
    prepareSummary,
    appendTo,

    /** The first messages of a new session, in the transaction that creates it. */
    startContext:
      (messages: readonly NewMessage[]) =>
      async (tx: TenantTransaction, session: StoredSession): Promise<Session> =>
        messages.length === 0 ? session : (await appendTo(tx, session, messages)).session,

    append: async (
      caller: Caller,
      {
        sessionId,
        messages,
        expected,
      }: { sessionId: string; messages: readonly NewMessage[]; expected: ExpectedContext },
    ): Promise<{ readonly messages: readonly StoredMessage[]; readonly context: ContextMeasure }> => {
      const before = await database.transact(caller.tenantId, (tx) => findSession(tx, sessionId), caller)
      const { agentId } = ensureReachable(caller, before)
      const appended = await idempotency.runOnce<Awaited<ReturnType<typeof appendTo>>>(caller, {
        agentId,
        operation: (commit) =>
          commit(async (tx) => {
            const session = await lockOpen(tx, caller, { sessionId, expected })
            return appendTo(tx, session, messages)
          }),
      })
      const context = await summarizeUnderPressure(caller, appended.session)
      return { messages: appended.messages, context }
    },

    listMessages: async (
      caller: Caller,
      sessionId: string,
      { cursor, limit }: PageRequest,
    ): Promise<Page<StoredMessage>> => {
      const [after] = decodeCursor(cursor, [-1] as readonly [number])
      const rows = await database.transact(
        caller.tenantId,
        async (tx) => {
          ensureReachable(caller, await findSession(tx, sessionId))
          return listMessages(tx, { sessionId, after, limit: limit + 1 })
        },
        caller,
      )
      return pageOf(rows, { limit, keysOf: (message) => [message.sequence], map: (message) => message })
    },

    /** Pinning changes what edits may touch, so it is a change of the context and makes a version. */
    setPinned: async (
      caller: Caller,
      {
        sessionId,
        messageId,
        pinned,
        expected,
      }: { sessionId: string; messageId: string; pinned: boolean; expected: ExpectedContext },
    ): Promise<StoredMessage> =>
      database.transact(
        caller.tenantId,
        async (tx) => {
          const session = await lockOpen(tx, caller, { sessionId, expected })
          const [message] = await findMessages(tx, { sessionId, messageIds: [messageId] })
          if (message === undefined) throw messageNotFound()
          if (message.pinned === pinned) return message
          if (pinned && message.state !== 'in_context') throw messageNotInContext()
          const { version, tokens } = session.context
          await advanceContext(tx, { sessionId, fromVersion: version, tokens, messagesAdded: 0 })
          return (await setPinned(tx, { sessionId, messageId, pinned })) ?? message
        },
        caller,
      ),

    /** System and pinned messages stay; null edit: there was nothing else. */
    reset: (caller: Caller, { sessionId, expected }: { sessionId: string; expected: ExpectedContext }) =>
      editLocked(caller, { sessionId, expected, plan: async (_tx, context) => planReset(context) }),

    undo: async (
      caller: Caller,
      { sessionId, editId, expected }: { sessionId: string; editId: string; expected: ExpectedContext },
    ): Promise<{ readonly edit: StoredEdit; readonly session: Session }> => {
      const { edit, session } = await editLocked(caller, {
        sessionId,
        expected,
        plan: async (tx, context) => {
          const undone = await findEdit(tx, { sessionId, editId })
          if (undone === null) throw editNotFound()
          const edits = await listEdits(tx, { sessionId, afterVersion: undone.contextVersion, limit: null })
          const messageIds = undone.removed.map(({ messageId }) => messageId)
          const messages = await findMessages(tx, { sessionId, messageIds })
          return planUndo(context, { edit: undone, edits, messages })
        },
      })
      if (edit === null) throw brokenInvariant('An undo was planned without an edit.')
      return { edit, session }
    },

    listEdits: async (caller: Caller, sessionId: string, { cursor, limit }: PageRequest): Promise<Page<StoredEdit>> => {
      const [afterVersion] = decodeCursor(cursor, [-1] as readonly [number])
      const rows = await database.transact(
        caller.tenantId,
        async (tx) => {
          ensureReachable(caller, await findSession(tx, sessionId))
          return listEdits(tx, { sessionId, afterVersion, limit: limit + 1 })
        },
        caller,
      )
      return pageOf(rows, { limit, keysOf: (edit) => [edit.contextVersion], map: (edit) => edit })
    },
  }
}
