/**
 * The context manager: the verbs of the routes, and what tools are made of. Appends and pins carry no plan of the
 * client's, so they take the session's lock and never conflict, unless the client itself names a version with If-Match.
 */
import type { Database, TenantTransaction } from '../../ports/database.ts'
import type { Tokenizer } from '../../ports/tokenizer.ts'
import type { Caller } from '../../shared/caller.ts'
import { brokenInvariant } from '../../shared/errors.ts'
import type { CreateId } from '../../shared/ids.ts'
import { decodeCursor, encodeCursor, type Page, type PageRequest } from '../../shared/page.ts'
import type { Idempotency } from '../idempotency/idempotency.service.ts'
import { advanceContext, findSession, type StoredSession } from '../session/session.repository.ts'
import { ensureReachable } from '../session/session-access.ts'
import type { ContextMeasure, Session } from '../session/session-types.ts'
import type { RunUnit } from '../session/units.ts'
import { messageNotFound, messageNotInContext } from './context.errors.ts'
import { findMessages, listLatestMessages, listMessages, type StoredMessage, setPinned } from './context.repository.ts'
import { createContextEdits } from './context-edits.ts'
import { type Appended, createContextStore, type ExpectedContext, prepareCounts } from './context-store.ts'
import type { NewMessage } from './plan-append.ts'
import { createSummaryPreparation, type Summarize } from './prepare-summary.ts'

export type ContextServiceOptions = {
  readonly database: Database
  readonly idempotency: Idempotency
  readonly tokenizer: Tokenizer
  readonly summarize: Summarize
  readonly createId: CreateId
  /** Of one context, with what is around its messages. */
  readonly contextBytesMax: number
  readonly runUnit: RunUnit
}

export type ContextService = ReturnType<typeof createContextService>

export type AppendAnswer = { readonly messages: readonly StoredMessage[]; readonly context: ContextMeasure }

export type PinAnswer = { readonly message: StoredMessage; readonly context: ContextMeasure }

/** A page of messages is read and written whole. */
const pageBytesMax = 8 * 1024 * 1024

export const createContextService = ({
  database,
  idempotency,
  tokenizer,
  summarize,
  createId,
  runUnit,
  contextBytesMax,
}: ContextServiceOptions) => {
  const store = createContextStore({ database, tokenizer, createId, runUnit, contextBytesMax })
  const { readSession, change, appendTo } = store
  const summaries = createSummaryPreparation({ store, tokenizer, summarize, createId })

  return {
    ...store,
    ...createContextEdits({ database, idempotency, store }),
    prepareSummary: summaries.prepareSummary,
    applySummary: summaries.applySummary,

    /** The first messages of a new session, in the transaction that creates it. */
    startContext:
      (messages: readonly NewMessage[]) =>
      async (tx: TenantTransaction, session: StoredSession): Promise<Session> =>
        messages.length === 0 ? session : (await appendTo(tx, session, messages)).session,

    /** An append that is sent again gets the answer of the first one, the summary that followed it included. */
    append: async (
      caller: Caller,
      {
        sessionId,
        messages,
        expected,
      }: { sessionId: string; messages: readonly NewMessage[]; expected: ExpectedContext },
    ): Promise<AppendAnswer> => {
      const before = await readSession(caller, sessionId)
      await prepareCounts(tokenizer, messages, caller.signal)
      const appended = await idempotency.runOnce<Appended>(caller, {
        agentId: before.agentId,
        operation: async (commit, amend) => {
          const { messages: stored, session } = await change<Appended>(caller, {
            ...{ session: before, writesMemoryOf: null, expected, commit },
            work: (tx, locked) => appendTo(tx, locked, messages),
          })
          const after = (context: ContextMeasure): Appended => ({ messages: stored, session: { ...session, context } })
          const onSummary = (tx: TenantTransaction, context: ContextMeasure) => amend(tx, after(context))
          return after(await summaries.summarizeUnderPressure(caller, { session, onSummary }))
        },
      })
      return { messages: appended.messages, context: appended.session.context }
    },

    listMessages: async (
      caller: Caller,
      sessionId: string,
      { cursor, limit }: PageRequest,
    ): Promise<Page<StoredMessage>> => {
      const list = `messages ${sessionId}`
      const [after] = decodeCursor({ list, cursor }, [-1] as readonly [number])
      const { messages, hasMore } = await database.transact(
        caller.tenantId,
        async (tx) => {
          ensureReachable(caller, await findSession(tx, sessionId))
          return listMessages(tx, { sessionId, after, limit, bytesMax: pageBytesMax })
        },
        caller,
      )
      const last = messages.at(-1)
      const nextCursor = hasMore && last !== undefined ? encodeCursor(list, [last.sequence]) : null
      return { data: messages, nextCursor }
    },

    /** The latest messages in append order, as many as fit a page of any length. */
    listLatestMessages: async (
      caller: Caller,
      sessionId: string,
      { limit }: { readonly limit: number },
    ): Promise<readonly StoredMessage[]> =>
      database.transact(
        caller.tenantId,
        async (tx) => {
          ensureReachable(caller, await findSession(tx, sessionId))
          return listLatestMessages(tx, { sessionId, limit, bytesMax: pageBytesMax })
        },
        caller,
      ),

    /** Pinning changes what edits may touch, so it is a change of the context and makes a version. */
    setPinned: async (
      caller: Caller,
      {
        sessionId,
        messageId,
        pinned,
        expected,
      }: { sessionId: string; messageId: string; pinned: boolean; expected: ExpectedContext },
    ): Promise<PinAnswer> =>
      change(caller, {
        ...{ session: { sessionId }, writesMemoryOf: null, expected },
        work: async (tx, session) => {
          const [message] = await findMessages(tx, { sessionId, messageIds: [messageId] })
          if (message === undefined) throw messageNotFound()
          if (message.pinned === pinned) return { message, context: session.context }
          if (pinned && message.state !== 'in_context') throw messageNotInContext()
          const { version, tokens } = session.context
          const advanced = await advanceContext(tx, { sessionId, fromVersion: version, tokens, messagesAdded: 0 })
          const after = await setPinned(tx, { sessionId, messageId, pinned })
          if (advanced === null || after === null) throw brokenInvariant('A locked session or its message vanished.')
          return { message: after, context: advanced.context }
        },
      }),
  }
}
