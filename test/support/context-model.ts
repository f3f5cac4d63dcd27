/** Contexts as test data, and random histories of them: what a client, a policy and an operator may do, in any order. */
import fc from 'fast-check'
import { createEstimatingTokenizer } from '../../src/drivers/tokenizer/estimating-tokenizer.ts'
import type { Context, EditPlan, MessageToolCall, Refusal } from '../../src/modules/context/context-types.ts'
import { type NewMessage, planAppend } from '../../src/modules/context/plan-append.ts'
import { planFilter } from '../../src/modules/context/plan-filter.ts'
import { planRecall } from '../../src/modules/context/plan-recall.ts'
import { planReset } from '../../src/modules/context/plan-reset.ts'
import { planSummary, selectSummarySpan } from '../../src/modules/context/plan-summary.ts'
import { planUndo } from '../../src/modules/context/plan-undo.ts'
import type { CreateId } from '../../src/shared/ids.ts'
import { applyAppend, applyPlan, type ContextHistory, contextOf, emptyHistory } from './context-history.ts'

export const { countMessage: countTokens, countText } = createEstimatingTokenizer()

export const createCounterIds = (): CreateId => {
  let next = 0
  return (prefix) => {
    next += 1
    return `${prefix}_${String(next).padStart(4, '0')}`
  }
}

export const makeCall = (id: string, name = 'look_up'): MessageToolCall => ({
  id,
  type: 'function',
  function: { name, arguments: '{"city":"Lisbon"}' },
})

/** A history holding these messages, appended in one batch. Message ids are msg_0001 and so on. */
export const makeHistory = (messages: readonly NewMessage[], budgetTokens = 1_000): ContextHistory => {
  const history = emptyHistory(budgetTokens)
  const plan = planAppend(contextOf(history), { messages, countTokens, createId: createCounterIds() })
  if (plan.outcome === 'refused') throw new Error(plan.detail)
  return applyAppend(history, plan)
}

export const makeContext = (messages: readonly NewMessage[]): Context => contextOf(makeHistory(messages))

type Outcome = { readonly outcome: 'edit'; readonly plan: EditPlan } | { readonly outcome: 'unchanged' } | Refusal

export const planOf = (outcome: Outcome): EditPlan => {
  if (outcome.outcome !== 'edit') throw new Error(`expected an edit, got ${JSON.stringify(outcome)}`)
  return outcome.plan
}

/** Which call a recall answers: none, one that awaits its result, one that does not, or one that never was. */
type RecallAnswers = 'nothing' | 'open' | 'closed' | 'unknown'

export type Operation =
  | {
      readonly type: 'append'
      readonly role: 'system' | 'user' | 'assistant'
      readonly words: number
      readonly pinned: boolean
    }
  | { readonly type: 'call'; readonly calls: number; readonly answered: number; readonly pinned: boolean }
  | { readonly type: 'late_result'; readonly call: number }
  | { readonly type: 'pin'; readonly message: number }
  | { readonly type: 'summary'; readonly span: 'all' | number; readonly words: number; readonly hasCaller: boolean }
  | { readonly type: 'filter'; readonly threshold: number; readonly salt: number; readonly hasCaller: boolean }
  | { readonly type: 'recall'; readonly memories: readonly number[]; readonly answers: RecallAnswers }
  | { readonly type: 'reset' }
  | { readonly type: 'undo'; readonly edit: number }

export type Transition = {
  readonly operation: Operation
  readonly before: ContextHistory
  readonly after: ContextHistory
  /** The edit's plan; null for appends, pins, refusals and where nothing changed. */
  readonly plan: EditPlan | null
  readonly refusal: Refusal | null
}

const nat = (max: number) => fc.nat({ max })

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('append' as const),
      role: fc.constantFrom(
        'user' as const,
        'user' as const,
        'assistant' as const,
        'assistant' as const,
        'system' as const,
      ),
      words: fc.integer({ min: 1, max: 40 }),
      pinned: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('call' as const),
      calls: fc.integer({ min: 1, max: 2 }),
      answered: nat(2),
      pinned: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('late_result' as const), call: nat(9) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('pin' as const), message: nat(30) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('summary' as const),
      span: fc.oneof(fc.constant('all' as const), fc.integer({ min: 1, max: 12 })),
      words: fc.integer({ min: 1, max: 30 }),
      hasCaller: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('filter' as const),
      threshold: fc.double({ min: 0, max: 1.2, noNaN: true }),
      salt: nat(99),
      hasCaller: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('recall' as const),
      memories: fc.array(nat(5), { maxLength: 4 }),
      answers: fc.constantFrom<RecallAnswers>('nothing', 'nothing', 'open', 'open', 'closed', 'unknown'),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ type: 'reset' as const }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('undo' as const), edit: nat(20) }) },
)

export const operations = (maxLength = 30): fc.Arbitrary<readonly Operation[]> => fc.array(operation, { maxLength })

/** A fixed pseudo-random cosine in 0..1 for a message. */
export const similarityOf = (messageId: string, salt: number): number => {
  let hash = 2_166_136_261 ^ salt
  for (const character of messageId) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 16_777_619)
  return ((hash >>> 8) % 1_001) / 1_000
}

const openCallIds = ({ messages }: Context): readonly string[] => {
  const answered = new Set(messages.map((message) => message.toolCallId))
  return messages.flatMap((message) => message.toolCalls ?? []).flatMap(({ id }) => (answered.has(id) ? [] : [id]))
}

/** The assistant message that makes the call, as far as an operation has one: the latest. */
export const callerOf = (asked: Operation, history: ContextHistory): string | null => {
  if (!('hasCaller' in asked) || !asked.hasCaller) return null
  return contextOf(history).messages.findLast(({ role }) => role === 'assistant')?.messageId ?? null
}

const answeredCall = (answers: RecallAnswers, context: Context): string | null => {
  const open = openCallIds(context)
  const calls = context.messages.flatMap((message) => message.toolCalls ?? []).map(({ id }) => id)
  if (answers === 'open') return open[0] ?? null
  if (answers === 'closed') return calls.find((id) => !open.includes(id)) ?? null
  return answers === 'unknown' ? 'call_unknown' : null
}

type Step = { readonly history: ContextHistory; readonly createId: CreateId }

const draftsOf = (asked: Operation, { history, createId }: Step): readonly NewMessage[] | null => {
  if (asked.type === 'append') {
    return [{ role: asked.role, content: 'word '.repeat(asked.words).trim(), pinned: asked.pinned }]
  }
  if (asked.type === 'call') {
    const ids = Array.from({ length: asked.calls }, () => createId('stp'))
    const call = {
      role: 'assistant' as const,
      content: '',
      toolCalls: ids.map((id) => makeCall(id)),
      pinned: asked.pinned,
    }
    return [
      call,
      ...ids.slice(0, asked.answered).map((id) => ({ role: 'tool' as const, content: 'a result', toolCallId: id })),
    ]
  }
  if (asked.type !== 'late_result') return null
  const ids = history.messages.flatMap((message) => message.toolCalls ?? []).map((call) => call.id)
  return [
    { role: 'tool', content: 'a late result', toolCallId: ids[asked.call % Math.max(1, ids.length)] ?? 'call_none' },
  ]
}

const memoryOf = (number: number) => ({
  memoryId: `mem_${number}`,
  version: 1,
  content: `fact ${number}`,
  metadata: {},
  score: 0.5,
})

const outcomeOf = (asked: Operation, { history, createId }: Step): Outcome => {
  const context = contextOf(history)
  const callerMessageId = callerOf(asked, history)
  switch (asked.type) {
    case 'summary': {
      const span = selectSummarySpan(context, { span: asked.span, callerMessageId })
      if (span.outcome === 'refused') return span
      const summaryText = 'short '.repeat(asked.words)
      return planSummary(context, { span, summaryText, writtenBy: 'model', countTokens, createId })
    }
    case 'filter': {
      const similarities = new Map(
        context.messages.map(({ messageId }) => [messageId, similarityOf(messageId, asked.salt)]),
      )
      return planFilter(context, { criteria: 'weather', threshold: asked.threshold, similarities, callerMessageId })
    }
    case 'recall': {
      const answersToolCallId = answeredCall(asked.answers, context)
      const results = asked.memories.map(memoryOf)
      return planRecall(context, { query: 'q', topK: 3, results, answersToolCallId, countTokens, createId })
    }
    case 'undo': {
      const edit = history.edits[asked.edit % Math.max(1, history.edits.length)]
      if (edit === undefined) return { outcome: 'unchanged' }
      return planUndo(context, { edit, edits: history.edits, messages: history.messages })
    }
    default:
      return planReset(context)
  }
}

const pinned = (history: ContextHistory, number: number): ContextHistory => {
  const { messages } = contextOf(history)
  const target = messages[number % Math.max(1, messages.length)]?.messageId
  if (target === undefined) return history
  const pin = (message: ContextHistory['messages'][number]) =>
    message.messageId === target ? { ...message, pinned: !message.pinned } : message
  return { ...history, version: history.version + 1, messages: history.messages.map(pin) }
}

const run = (asked: Operation, step: Step): Transition => {
  const before = step.history
  const still = { operation: asked, before, after: before, plan: null, refusal: null }
  if (asked.type === 'pin') return { ...still, after: pinned(before, asked.message) }
  const drafts = draftsOf(asked, step)
  if (drafts !== null) {
    const plan = planAppend(contextOf(before), { messages: drafts, countTokens, createId: step.createId })
    return plan.outcome === 'refused' ? { ...still, refusal: plan } : { ...still, after: applyAppend(before, plan) }
  }
  const outcome = outcomeOf(asked, step)
  if (outcome.outcome === 'refused') return { ...still, refusal: outcome }
  if (outcome.outcome === 'unchanged') return still
  return { ...still, plan: outcome.plan, after: applyPlan(before, outcome.plan, step.createId('edt')) }
}

/** Runs the operations one after another from an empty context. */
export const runHistory = (asked: readonly Operation[]): readonly Transition[] => {
  const createId = createCounterIds()
  const transitions: Transition[] = []
  let history = emptyHistory(500)
  for (const next of asked) {
    const transition = run(next, { history, createId })
    transitions.push(transition)
    history = transition.after
  }
  return transitions
}
