/**
 * The context manager: the verbs of the routes, and what tools are made of. Appends and pins carry no plan of the
 * client's, so they take the session's lock and never conflict, unless the client itself names a version with If-Match.
 */
import type { Database, TenantTransaction } from '../../ports/database.ts'
import type { Tokenizer } from '../../ports/tokenizer.ts'
import type { Caller } from '../../shared/caller.ts'
import { brokenInvariant } from '../../shared/errors.ts'
import type { CreateId } from '../../shared/ids.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../../shared/page.ts'
import type { Idempotency } from '../idempotency/idempotency.service.ts'
import { advanceContext, findSession, type StoredSession } from '../session/session.repository.ts'
import { ensureReachable } from '../session/session.service.ts'
import type { ContextMeasure, Session } from '../session/session-types.ts'
import { messageNotFound, messageNotInContext } from './context.errors.ts'
import { findMessages, listMessages, type StoredMessage, setPinned } from './context.repository.ts'
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
}

export type ContextService = ReturnType<typeof createContextService>

export type AppendAnswer = { readonly messages: readonly StoredMessage[]; readonly context: ContextMeasure }

export type PinAnswer = { readonly message: StoredMessage; readonly context: ContextMeasure }

/** The list of a session's messages, as its cursors name it. */
export const messageList = (sessionId: string): string => `messages ${sessionId}`

export const createContextService = ({
  database,
  idempotency,
  tokenizer,
  summarize,
  createId,
}: ContextServiceOptions) => {
  const store = createContextStore({ database, tokenizer, createId })
  const { readSession, lockOpen, appendTo } = store
  const summaries = createSummaryPreparation({ database, store, tokenizer, summarize, createId })

  return {
    ...store,
    ...createContextEdits({ database, idempotency, store }),
    prepareSummary: summaries.prepareSummary,

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
      const { agentId } = await readSession(caller, sessionId)
      await prepareCounts(tokenizer, messages, caller.signal)
      const appended = await idempotency.runOnce<Appended>(caller, {
        agentId,
        operation: async (commit, amend) => {
          const { messages: stored, session } = await commit(async (tx) =>
            appendTo(tx, await lockOpen(tx, caller, { sessionId, expected }), messages),
          )
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
      const list = messageList(sessionId)
      const [after] = decodeCursor({ list, cursor }, [-1] as readonly [number])
      const rows = await database.transact(
        caller.tenantId,
        async (tx) => {
          ensureReachable(caller, await findSession(tx, sessionId))
          return listMessages(tx, { sessionId, after, limit: limit + 1 })
        },
        caller,
      )
      return pageOf(rows, { list, limit, keysOf: (message) => [message.sequence] })
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
    ): Promise<PinAnswer> =>
      database.transact(
        caller.tenantId,
        async (tx) => {
          const session = await lockOpen(tx, caller, { sessionId, expected })
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
        caller,
      ),
  }
}
