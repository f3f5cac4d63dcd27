/** Answers of the HTTP contract in their wire names, as far as the commands read them. */

export type ContextBody = {
  readonly version: number
  readonly tokens: number
  readonly budget_tokens: number
  /** Tokens over budget: above 1 the context no longer fits. */
  readonly pressure: number
}

export type MessageBody = {
  readonly role: 'system' | 'user' | 'assistant' | 'tool'
  readonly content: string
  readonly pinned?: boolean
}

export type PageBody<T> = { readonly data: readonly T[]; readonly next_cursor: string | null }

export type SessionBody = { readonly session_id: string; readonly agent_id: string; readonly context: ContextBody }

export type StoredMessageBody = MessageBody & {
  readonly message_id: string
  readonly tokens: number
  readonly state: string
}

export type AppendAnswer = { readonly messages: readonly StoredMessageBody[]; readonly context: ContextBody }

export type MemoryBody = {
  readonly memory_id: string
  readonly content: string
  readonly version: number
  readonly metadata: Readonly<Record<string, unknown>>
}

export type ToolResults = {
  readonly add_memory: {
    readonly memory_id: string
    readonly version: number
    readonly duplicate_of?: { readonly memory_id: string; readonly similarity: number }
  }
  readonly update_memory: { readonly memory_id: string; readonly version: number }
  readonly delete_memory: { readonly memory_id: string; readonly deleted: true }
  readonly retrieve_memory: {
    readonly memories: readonly { readonly memory_id: string; readonly content: string; readonly score: number }[]
    readonly already_in_context: readonly string[]
  }
  readonly summary_context: {
    readonly summary: string
    readonly replaced_message_ids: readonly string[]
    readonly tokens_before: number
    readonly tokens_after: number
    readonly written_by: 'model' | 'extractive'
  }
  readonly filter_context: {
    readonly removed: readonly { readonly message_id: string; readonly similarity: number }[]
    readonly tokens_before: number
    readonly tokens_after: number
    readonly threshold: number
  }
}

export type ToolName = keyof ToolResults

export type ToolAnswer<Result> = {
  readonly tool: string
  readonly step_id: string
  readonly result: Result
  readonly context: ContextBody
  readonly degraded: readonly string[]
}
