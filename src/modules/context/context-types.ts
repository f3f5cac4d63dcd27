/**
 * The context is the session's live, ordered view of its messages. Messages are never deleted: an edit moves them out
 * of the context into another state, and can be undone. Edits are data: a planner reads a context and answers a plan
 * (or a refusal, or that there is nothing to change), and whoever applies the plan has no decision left to make.
 *
 * Order in the context is `contextPosition`: an appended message's own sequence, for a summary that of the first
 * message it replaced. No two messages in one context share a position, since a summary takes the message at its own
 * position out.
 */
import type { CountableMessage } from '../../ports/tokenizer.ts'
import type { ToolCallMessage } from '../../shared/chat.ts'

export type MessageRole = 'system' | 'user' | 'assistant' | 'tool'

/** `in_context`, or where it went: into a summary, filtered, reset; `undone`: an edit had added it and was undone. */
export type MessageState = 'in_context' | 'summarized' | 'filtered' | 'reset' | 'undone'

/** Who put it there: the client or policy, SUMMARY, or RETRIEVE. */
export type MessageKind = 'appended' | 'summary' | 'recall'

export type MessageToolCall = ToolCallMessage

export type ShownMemory = { readonly memoryId: string; readonly version: number }

export type ContextMessage = {
  readonly messageId: string
  readonly role: MessageRole
  readonly content: string
  readonly name: string | null
  readonly toolCalls: readonly MessageToolCall[] | null
  readonly toolCallId: string | null
  readonly pinned: boolean
  /** What it costs in the rendered context. */
  readonly tokens: number
  readonly contextPosition: number
  /** Append order over the whole session, unique. */
  readonly sequence: number
  readonly state: MessageState
  /** The edit that took it out of the context; null while it is in. */
  readonly editId: string | null
  readonly kind: MessageKind
  /** Memories that this message shows to the model. */
  readonly recalledMemories: readonly ShownMemory[]
}

export type Context = {
  readonly version: number
  /** Sum of the messages' tokens. */
  readonly tokens: number
  readonly budgetTokens: number
  /** The sequence that the next message of the session takes. */
  readonly nextSequence: number
  /** Those in the context, by ascending position. */
  readonly messages: readonly ContextMessage[]
}

export type RemovedMessage = { readonly messageId: string; readonly state: Exclude<MessageState, 'in_context'> }

export type EditKind = 'summary' | 'filter' | 'reset' | 'recall' | 'undo'

export type SummaryWriter = 'model' | 'extractive'

/** What an edit did, per kind; JSON-safe. */
export type EditDetails =
  | {
      readonly kind: 'summary'
      readonly span: Span
      readonly summaryMessageId: string
      readonly replacedMessageIds: readonly string[]
      readonly writtenBy: SummaryWriter
      /** Names, numbers and dates of the span that the summary does not repeat; the first 50. */
      readonly droppedFacts: readonly string[]
    }
  | {
      readonly kind: 'filter'
      readonly criteria: string
      readonly threshold: number
      /** The unit's similarity: a call and its results leave for the best match among them. */
      readonly removed: readonly { readonly messageId: string; readonly similarity: number }[]
    }
  | { readonly kind: 'reset' }
  | {
      readonly kind: 'recall'
      readonly query: string
      readonly topK: number
      readonly memoryIds: readonly string[]
      readonly alreadyInContext: readonly string[]
    }
  | { readonly kind: 'undo'; readonly undoneEditId: string; readonly undoneKind: EditKind }

/** An edit to be applied as it stands, as the version `context.version + 1`. */
export type EditPlan = {
  readonly kind: EditKind
  readonly removed: readonly RemovedMessage[]
  readonly restoredMessageIds: readonly string[]
  /** Complete rows, with ids and sequences taken from `context.nextSequence` on. */
  readonly added: readonly ContextMessage[]
  readonly tokensBefore: number
  readonly tokensAfter: number
  /** Index, in the order that the model sees after the edit, of the first message that its prefix cache does not hold. */
  readonly prefillFromPosition: number
  /** Tokens from there to the end. */
  readonly prefillTokens: number
  readonly details: EditDetails
}

export type RefusalCode =
  | 'context.nothing_to_summarize'
  | 'context.summary_empty'
  | 'context.summary_not_shorter'
  | 'context.edit_already_undone'
  | 'context.edit_depended_on'
  | 'context.undo_not_undoable'
  | 'context.orphan_tool_result'

/** `detail` says what to do and carries ids and counts, never content. */
export type Refusal = { readonly outcome: 'refused'; readonly code: RefusalCode; readonly detail: string }

export type PlannedEdit = { readonly outcome: 'edit'; readonly plan: EditPlan }

/** There is nothing to do: no edit, no new version. */
export type Unchanged = { readonly outcome: 'unchanged'; readonly details: EditDetails }

/** The last N non-system messages, or all of them. */
export type Span = 'all' | number

/** An edit as the log keeps it. */
export type ContextEdit = {
  readonly editId: string
  readonly kind: EditKind
  /** The version that the edit made. */
  readonly contextVersion: number
  readonly removed: readonly RemovedMessage[]
  readonly restoredMessageIds: readonly string[]
  readonly addedMessageIds: readonly string[]
  readonly tokensBefore: number
  readonly tokensAfter: number
  readonly prefillFromPosition: number
  readonly details: EditDetails
  /** The edit that undid it. */
  readonly undoneBy: string | null
}

export type CountTokens = (message: CountableMessage) => number

export const refuse = (code: RefusalCode, detail: string): Refusal => ({ outcome: 'refused', code, detail })
