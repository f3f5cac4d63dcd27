import type { TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'
import type { ContextEdit, EditDetails, EditKind, EditPlan, RemovedMessage } from './context-types.ts'

type EditRow = {
  readonly edit_id: string
  readonly kind: EditKind
  readonly context_version: number
  readonly removed: readonly RemovedMessage[]
  readonly restored_message_ids: readonly string[]
  readonly added_message_ids: readonly string[]
  readonly tokens_before: number
  readonly tokens_after: number
  readonly prefill_from_position: number
  readonly details: EditDetails
  readonly undone_by: string | null
  readonly created_at: string
}

export type StoredEdit = ContextEdit & { readonly createdAt: string }

const toEdit = (row: EditRow): StoredEdit => ({
  editId: row.edit_id,
  kind: row.kind,
  contextVersion: row.context_version,
  removed: row.removed,
  restoredMessageIds: row.restored_message_ids,
  addedMessageIds: row.added_message_ids,
  tokensBefore: row.tokens_before,
  tokensAfter: row.tokens_after,
  prefillFromPosition: row.prefill_from_position,
  details: row.details,
  undoneBy: row.undone_by,
  createdAt: row.created_at,
})

export const insertEdit = async (
  tx: TenantTransaction,
  {
    sessionId,
    editId,
    contextVersion,
    plan,
  }: { sessionId: string; editId: string; contextVersion: number; plan: EditPlan },
): Promise<StoredEdit> => {
  const rows = await tx.query<EditRow>(sql`
    insert into context_edit (tenant_id, session_id, edit_id, kind, context_version, removed, restored_message_ids,
      added_message_ids, tokens_before, tokens_after, prefill_from_position, details)
    values (${tx.tenantId}, ${sessionId}, ${editId}, ${plan.kind}, ${contextVersion},
      ${JSON.stringify(plan.removed)}::jsonb, ${plan.restoredMessageIds}::text[],
      ${plan.added.map((message) => message.messageId)}::text[], ${plan.tokensBefore}, ${plan.tokensAfter},
      ${plan.prefillFromPosition}, ${JSON.stringify({ ...plan.details, prefillTokens: plan.prefillTokens })}::jsonb)
    returning *`)
  return toEdit(rows[0] as EditRow)
}

export const markUndone = async (
  tx: TenantTransaction,
  { sessionId, editId, undoneBy }: { sessionId: string; editId: string; undoneBy: string },
): Promise<void> => {
  await tx.query(sql`
    update context_edit set undone_by = ${undoneBy}
    where tenant_id = ${tx.tenantId} and session_id = ${sessionId} and edit_id = ${editId}`)
}

export const findEdit = async (
  tx: TenantTransaction,
  { sessionId, editId }: { sessionId: string; editId: string },
): Promise<StoredEdit | null> => {
  const rows = await tx.query<EditRow>(sql`
    select * from context_edit
    where tenant_id = ${tx.tenantId} and session_id = ${sessionId} and edit_id = ${editId}`)
  return rows[0] === undefined ? null : toEdit(rows[0])
}

/** Edits by the version they made, from after `afterVersion`. */
export const listEdits = async (
  tx: TenantTransaction,
  { sessionId, afterVersion, limit }: { sessionId: string; afterVersion: number; limit: number | null },
): Promise<readonly StoredEdit[]> => {
  const rows = await tx.query<EditRow>(sql`
    select * from context_edit
    where tenant_id = ${tx.tenantId} and session_id = ${sessionId} and context_version > ${afterVersion}
    order by context_version limit ${limit}`)
  return rows.map(toEdit)
}

/** The edits with these ids, and those that added one of these messages, by the version they made. */
export const findEdits = async (
  tx: TenantTransaction,
  { sessionId, editIds, messageIds }: { sessionId: string; editIds: readonly string[]; messageIds: readonly string[] },
): Promise<readonly StoredEdit[]> => {
  const rows = await tx.query<EditRow>(sql`
    select * from context_edit
    where tenant_id = ${tx.tenantId} and session_id = ${sessionId}
      and (edit_id = any(${editIds}::text[]) or added_message_ids && ${messageIds}::text[])
    order by context_version`)
  return rows.map(toEdit)
}
