import type { TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'
import type { ContextMessage, MessageToolCall, RemovedMessage } from './context-types.ts'

type MessageRow = {
  readonly message_id: string
  readonly sequence: number
  readonly context_position: number
  readonly kind: ContextMessage['kind']
  readonly role: ContextMessage['role']
  readonly content: string
  readonly name: string | null
  readonly tool_calls: readonly MessageToolCall[] | null
  readonly tool_call_id: string | null
  readonly pinned: boolean
  readonly tokens: number
  readonly state: ContextMessage['state']
  readonly edit_id: string | null
  readonly recalled_memories: readonly { readonly memory_id: string; readonly version: number }[]
  readonly created_at: string
}

/** A message with when it came, as lists show it. */
export type StoredMessage = ContextMessage & { readonly createdAt: string }

const toMessage = (row: MessageRow): StoredMessage => ({
  messageId: row.message_id,
  role: row.role,
  content: row.content,
  name: row.name,
  toolCalls: row.tool_calls,
  toolCallId: row.tool_call_id,
  pinned: row.pinned,
  tokens: row.tokens,
  contextPosition: row.context_position,
  sequence: row.sequence,
  state: row.state,
  editId: row.edit_id,
  kind: row.kind,
  recalledMemories: row.recalled_memories.map(({ memory_id: memoryId, version }) => ({ memoryId, version })),
  createdAt: row.created_at,
})

/** The messages in the context, by position. */
export const readContextMessages = async (
  tx: TenantTransaction,
  sessionId: string,
): Promise<readonly StoredMessage[]> => {
  const rows = await tx.query<MessageRow>(sql`
    select * from message where tenant_id = ${tx.tenantId} and session_id = ${sessionId} and state = 'in_context'
    order by context_position, sequence`)
  return rows.map(toMessage)
}

/** Of the messages in the context those that call tools or answer calls, by position. */
export const readContextCalls = async (tx: TenantTransaction, sessionId: string): Promise<readonly StoredMessage[]> => {
  const rows = await tx.query<MessageRow>(sql`
    select * from message where tenant_id = ${tx.tenantId} and session_id = ${sessionId} and state = 'in_context'
      and (tool_calls is not null or tool_call_id is not null)
    order by context_position, sequence`)
  return rows.map(toMessage)
}

export const findMessages = async (
  tx: TenantTransaction,
  { sessionId, messageIds }: { sessionId: string; messageIds: readonly string[] },
): Promise<readonly StoredMessage[]> => {
  const rows = await tx.query<MessageRow>(sql`
    select * from message where tenant_id = ${tx.tenantId} and session_id = ${sessionId}
      and message_id = any(${messageIds}::text[]) order by sequence`)
  return rows.map(toMessage)
}

/**
 * Every message ever, in append order, from after `after`: up to `limit`, and no more than `bytesMax` together but the
 * first. Says whether there are more.
 */
export const listMessages = async (
  tx: TenantTransaction,
  { sessionId, after, limit, bytesMax }: { sessionId: string; after: number; limit: number; bytesMax: number },
): Promise<{ readonly messages: readonly StoredMessage[]; readonly hasMore: boolean }> => {
  const rows = await tx.query<MessageRow & { readonly found: number }>(sql`
    with page as (
      select message_id, count(*) over () as found, row_number() over (order by sequence) as place,
        sum(bytes) over (order by sequence) - bytes as bytes_before
      from (
        select message_id, sequence, bytes from message
        where tenant_id = ${tx.tenantId} and session_id = ${sessionId} and sequence > ${after}
        order by sequence limit ${limit}::bigint + 1
      ) as read
    )
    select message.*, page.found from page
    join message on message.tenant_id = ${tx.tenantId} and message.session_id = ${sessionId}
      and message.message_id = page.message_id
    where page.place <= ${limit}::bigint and (page.place = 1 or page.bytes_before < ${bytesMax}::bigint)
    order by message.sequence`)
  return { messages: rows.map(toMessage), hasMore: (rows[0]?.found ?? 0) > rows.length }
}

/** The latest messages in append order: up to `limit`, and no more than `bytesMax` together. */
export const listLatestMessages = async (
  tx: TenantTransaction,
  { sessionId, limit, bytesMax }: { sessionId: string; limit: number; bytesMax: number },
): Promise<readonly StoredMessage[]> => {
  const rows = await tx.query<MessageRow>(sql`
    with latest as (
      select message_id, sum(bytes) over (order by sequence desc) as bytes_from
      from (
        select message_id, sequence, bytes from message
        where tenant_id = ${tx.tenantId} and session_id = ${sessionId} order by sequence desc limit ${limit}
      ) as read
    )
    select message.* from latest
    join message on message.tenant_id = ${tx.tenantId} and message.session_id = ${sessionId}
      and message.message_id = latest.message_id
    where latest.bytes_from <= ${bytesMax}::bigint order by message.sequence`)
  return rows.map(toMessage)
}

/** What reading the context takes, as its messages are now. */
export const readContextBytes = async (tx: TenantTransaction, sessionId: string): Promise<number> => {
  const rows = await tx.query<{ context_bytes: number }>(sql`
    select context_bytes from session where tenant_id = ${tx.tenantId} and session_id = ${sessionId}`)
  return rows[0]?.context_bytes ?? 0
}

export const insertMessages = async (
  tx: TenantTransaction,
  {
    sessionId,
    messages,
    enteredVersion,
  }: { sessionId: string; messages: readonly ContextMessage[]; enteredVersion: number },
): Promise<readonly StoredMessage[]> => {
  const rows = await tx.query<MessageRow>(sql`
    insert into message (tenant_id, session_id, entered_version, message_id, sequence, context_position, kind, role,
      content, name, tool_calls, tool_call_id, pinned, tokens, recalled_memories)
    select ${tx.tenantId}, ${sessionId}, ${enteredVersion}, input.*
    from json_to_recordset(${JSON.stringify(
      messages.map((message) => ({
        message_id: message.messageId,
        sequence: message.sequence,
        context_position: message.contextPosition,
        kind: message.kind,
        role: message.role,
        content: message.content,
        name: message.name,
        tool_calls: message.toolCalls,
        tool_call_id: message.toolCallId,
        pinned: message.pinned,
        tokens: message.tokens,
        recalled_memories: message.recalledMemories.map(({ memoryId, version }) => ({ memory_id: memoryId, version })),
      })),
    )}::json) as input(message_id text, sequence bigint, context_position bigint, kind text, role text, content text,
      name text, tool_calls jsonb, tool_call_id text, pinned boolean, tokens integer, recalled_memories jsonb)
    returning *`)
  return rows.map(toMessage)
}

/** Takes messages out of the context and puts others back, as a plan says. */
export const moveMessages = async (
  tx: TenantTransaction,
  {
    sessionId,
    editId,
    removed,
    restoredMessageIds,
  }: {
    sessionId: string
    editId: string
    removed: readonly RemovedMessage[]
    restoredMessageIds: readonly string[]
  },
): Promise<void> => {
  const moved = [
    ...removed.map(({ messageId, state }) => ({ message_id: messageId, state, edit_id: editId })),
    ...restoredMessageIds.map((messageId) => ({ message_id: messageId, state: 'in_context', edit_id: null })),
  ]
  await tx.query(sql`
    update message set state = moved.state, edit_id = moved.edit_id
    from json_to_recordset(${JSON.stringify(moved)}::json) as moved(message_id text, state text, edit_id text)
    where message.tenant_id = ${tx.tenantId} and message.session_id = ${sessionId}
      and message.message_id = moved.message_id`)
}

export const setPinned = async (
  tx: TenantTransaction,
  { sessionId, messageId, pinned }: { sessionId: string; messageId: string; pinned: boolean },
): Promise<StoredMessage | null> => {
  const rows = await tx.query<MessageRow>(sql`
    update message set pinned = ${pinned}
    where tenant_id = ${tx.tenantId} and session_id = ${sessionId} and message_id = ${messageId} returning *`)
  return rows[0] === undefined ? null : toMessage(rows[0])
}
