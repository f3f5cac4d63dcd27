/** What a line that begins with a slash does: it looks at the session or takes an edit back. */
import { type ChatScreen, shortened } from './chat-screen.ts'
import type { HttpClient } from './http-client.ts'
import type { ContextBody, MessageBody, PageBody } from './wire-types.ts'

export type Chat = {
  readonly client: HttpClient
  readonly screen: ChatScreen
  readonly agentId: string
  readonly sessionId: string
}

type EditBody = {
  readonly edit_id: string
  readonly kind: string
  readonly context_version: number
  readonly tokens_before: number
  readonly tokens_after: number
  readonly undone_by?: string
}

const chatHelp = [
  '/context   what the model reads now     /memories  what the agent remembers',
  '/edits     what was done to the context /undo      take the latest edit back',
  '/quit      end the chat (so does the end of the input)',
]

const editsOf = async ({ client, sessionId }: Chat): Promise<readonly EditBody[]> => {
  const edits: EditBody[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const from: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const path = `/v1/sessions/${encodeURIComponent(sessionId)}/edits?limit=200${from}`
    const page: PageBody<EditBody> = (await client.request<PageBody<EditBody>>('GET', path)).body
    edits.push(...page.data)
    cursor = page.next_cursor
  }
  return edits.sort((one, other) => one.context_version - other.context_version)
}

const showContext = async ({ client, screen, sessionId }: Chat): Promise<void> => {
  const context = await client.getContext(sessionId)
  for (const { role, content, tool_calls: calls } of context.messages as readonly (MessageBody & {
    tool_calls?: readonly { function: { name: string } }[]
  })[]) {
    const names = (calls ?? []).map((call) => `[${call.function.name}]`).join(' ')
    screen.line(`  ${role.padEnd(10)} ${shortened(`${content} ${names}`)}`)
  }
  screen.context('context', context)
}

const showMemories = async ({ client, screen, agentId }: Chat): Promise<void> => {
  const path = `/v1/agents/${encodeURIComponent(agentId)}/memories?limit=200`
  const { data, next_cursor: next } = (
    await client.request<PageBody<{ memory_id: string; content: string }>>('GET', path)
  ).body
  for (const { content } of data) screen.line(`  ${shortened(content)}`)
  screen.line(
    data.length === 0 ? '  nothing yet' : `  ${data.length}${next === null ? '' : ' and more'} memories of ${agentId}`,
  )
}

const showEdits = async (chat: Chat): Promise<void> => {
  const edits = await editsOf(chat)
  for (const {
    kind,
    context_version: version,
    tokens_before: before,
    tokens_after: after,
    undone_by: undoneBy,
  } of edits)
    chat.screen.line(
      `  ${kind.padEnd(8)} version ${version}: ${before} -> ${after} tokens${undoneBy ? ', undone' : ''}`,
    )
  if (edits.length === 0) chat.screen.line('  no edits yet')
}

const undoLatest = async (chat: Chat): Promise<void> => {
  const latest = (await editsOf(chat)).findLast(
    ({ kind, undone_by: undoneBy }) => kind !== 'undo' && undoneBy === undefined,
  )
  if (latest === undefined) return chat.screen.line('  there is no edit to undo')
  const path = `/v1/sessions/${encodeURIComponent(chat.sessionId)}/edits/${latest.edit_id}/undo`
  await chat.client.request('POST', path, { body: {} })
  chat.screen.line(`  the ${latest.kind} of version ${latest.context_version} is undone`)
  chat.screen.context('context', (await chat.client.getContext(chat.sessionId)) as ContextBody)
}

const showHelp = async ({ screen }: Chat): Promise<void> => {
  for (const line of chatHelp) screen.line(`  ${line}`)
}

const commands: Readonly<Record<string, (chat: Chat) => Promise<void>>> = {
  '/context': showContext,
  '/memories': showMemories,
  '/edits': showEdits,
  '/undo': undoLatest,
  '/help': showHelp,
}

/** An unknown command shows which there are. */
export const runChatCommand = (chat: Chat, line: string): Promise<void> => (commands[line] ?? showHelp)(chat)
