/**
 * RETRIEVE (eq. 8) puts what it found at the end of the context, where it costs no cached prefix. A tool result needs
 * its call (C2): when an open call of the context is being answered, the result alone is added; otherwise a pair, the
 * assistant's call and the tool's result. A memory that a message of the context already shows is not shown again, unless
 * it has changed since.
 */
import type { CreateId } from '../../shared/ids.ts'
import type {
  Context,
  ContextMessage,
  CountTokens,
  EditDetails,
  MessageToolCall,
  PlannedEdit,
  Refusal,
  Unchanged,
} from './context-types.ts'
import { refuse } from './context-types.ts'
import { editCost } from './edit-cost.ts'
import { createIsShown } from './shown-memories.ts'
import { isOpenCall } from './tool-units.ts'

export type RecalledMemory = {
  readonly memoryId: string
  readonly version: number
  readonly content: string
  readonly metadata: Readonly<Record<string, unknown>>
  readonly score: number
}

type RecallInput = {
  readonly query: string
  readonly topK: number
  /** Best first. */
  readonly results: readonly RecalledMemory[]
  /** The open call of the context that this answers; null: a pair is added. */
  readonly answersToolCallId?: string | null
  readonly countTokens: CountTokens
  readonly createId: CreateId
}

/** What the model reads of the memories found: compact JSON, scores to four digits. */
export const recallContent = (memories: readonly RecalledMemory[]): string =>
  JSON.stringify({
    memories: memories.map(({ memoryId, content, metadata, score }) => ({
      memory_id: memoryId,
      content,
      metadata,
      score: Math.round(score * 10_000) / 10_000,
    })),
  })

type Draft = Pick<ContextMessage, 'role' | 'content' | 'name' | 'toolCalls' | 'toolCallId' | 'recalledMemories'>

const callDraft = (toolCallId: string, { query, topK }: Pick<RecallInput, 'query' | 'topK'>): Draft => {
  const call: MessageToolCall = {
    id: toolCallId,
    type: 'function',
    function: { name: 'Retrieve_memory', arguments: JSON.stringify({ query, top_k: topK }) },
  }
  return { role: 'assistant', content: '', name: null, toolCalls: [call], toolCallId: null, recalledMemories: [] }
}

const resultDraft = (toolCallId: string, memories: readonly RecalledMemory[]): Draft => ({
  role: 'tool',
  content: recallContent(memories),
  name: 'Retrieve_memory',
  toolCalls: null,
  toolCallId,
  recalledMemories: memories.map(({ memoryId, version }) => ({ memoryId, version })),
})

type Place = { readonly messageId: string; readonly sequence: number; readonly countTokens: CountTokens }

const toMessage = (draft: Draft, { messageId, sequence, countTokens }: Place): ContextMessage => ({
  ...draft,
  messageId,
  pinned: false,
  tokens: countTokens(draft),
  contextPosition: sequence,
  sequence,
  state: 'in_context',
  editId: null,
  kind: 'recall',
})

/** The pair, or the result alone; the call's id is made from that of its message. */
const recallMessages = (
  fresh: readonly RecalledMemory[],
  sequence: number,
  { answersToolCallId = null, query, topK, countTokens, createId }: RecallInput,
): readonly ContextMessage[] => {
  const messageId = createId('msg')
  if (answersToolCallId !== null) {
    return [toMessage(resultDraft(answersToolCallId, fresh), { messageId, sequence, countTokens })]
  }
  const toolCallId = `call_${messageId.slice(messageId.indexOf('_') + 1)}`
  return [
    toMessage(callDraft(toolCallId, { query, topK }), { messageId, sequence, countTokens }),
    toMessage(resultDraft(toolCallId, fresh), { messageId: createId('msg'), sequence: sequence + 1, countTokens }),
  ]
}

/** `unchanged` when every result is in the context already, as it is now, or there is none. */
export const planRecall = (context: Context, input: RecallInput): PlannedEdit | Unchanged | Refusal => {
  const { query, topK, answersToolCallId = null } = input
  if (answersToolCallId !== null && !isOpenCall(context.messages, answersToolCallId)) {
    return refuse('context.orphan_tool_result', 'The context holds no open tool call with that id.')
  }
  const isShown = createIsShown(context)
  const found = new Map(input.results.slice(0, topK).map((memory) => [memory.memoryId, memory]))
  const fresh = [...found.values()].filter((memory) => !isShown(memory))
  const details: EditDetails = {
    kind: 'recall',
    query,
    topK,
    memoryIds: fresh.map((memory) => memory.memoryId),
    alreadyInContext: [...found.values()].filter(isShown).map(({ memoryId }) => memoryId),
  }
  if (fresh.length === 0) return { outcome: 'unchanged', details }
  const added = recallMessages(fresh, context.nextSequence, input)
  const cost = editCost(context, [...context.messages, ...added])
  return { outcome: 'edit', plan: { kind: 'recall', removed: [], restoredMessageIds: [], added, ...cost, details } }
}
