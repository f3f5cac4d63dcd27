/**
 * The edits that need no slow preparation, reset and undo, and the log of all. They are planned and applied under the
 * session's lock, so they never conflict, unless the client itself names a version with If-Match.
 */
import type { Database, TenantTransaction } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import { brokenInvariant } from '../../shared/errors.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../../shared/page.ts'
import type { Idempotency } from '../idempotency/idempotency.service.ts'
import { findSession, type StoredSession } from '../session/session.repository.ts'
import { ensureReachable } from '../session/session-access.ts'
import type { Session } from '../session/session-types.ts'
import { editNotFound, refused } from './context.errors.ts'
import { findMessages } from './context.repository.ts'
import { findEdit, listEdits, type StoredEdit } from './context-edit.repository.ts'
import type { ContextStore, ExpectedContext } from './context-store.ts'
import type { Context, PlannedEdit, Refusal, Unchanged } from './context-types.ts'
import { planReset } from './plan-reset.ts'
import { planUndo } from './plan-undo.ts'

export type ContextEditsOptions = {
  readonly database: Database
  readonly idempotency: Idempotency
  readonly store: ContextStore
}

type LockedEdit = { readonly edit: StoredEdit | null; readonly session: Session }

export const createContextEdits = ({ database, idempotency, store }: ContextEditsOptions) => {
  const { readContext, readSession, change, applyEdit } = store

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
  ): Promise<LockedEdit> => {
    const before = await readSession(caller, sessionId)
    const work = async (tx: TenantTransaction, session: StoredSession): Promise<LockedEdit> => {
      const context = await readContext(tx, session)
      const planned = await plan(tx, context)
      if (planned.outcome === 'refused') throw refused(planned)
      if (planned.outcome === 'unchanged') return { edit: null, session }
      return applyEdit(tx, { sessionId, fromVersion: context.version, plan: planned.plan })
    }
    return idempotency.runOnce<LockedEdit>(caller, {
      agentId: before.agentId,
      operation: (commit) => change(caller, { session: before, writesMemoryOf: null, expected, commit, work }),
    })
  }

  return {
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
      const list = `edits ${sessionId}`
      const [afterVersion] = decodeCursor({ list, cursor }, [-1] as readonly [number])
      const rows = await database.transact(
        caller.tenantId,
        async (tx) => {
          ensureReachable(caller, await findSession(tx, sessionId))
          return listEdits(tx, { sessionId, afterVersion, limit: limit + 1 })
        },
        caller,
      )
      return pageOf(rows, { list, limit, keysOf: (edit) => [edit.contextVersion] })
    },
  }
}
