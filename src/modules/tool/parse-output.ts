/**
 * Reads a policy's raw text: `<think>…</think>`, then `<tool_call>[…]</tool_call>` or `<answer>…</answer>`. Whatever the
 * text, something comes back, and each departure from the format is noted as a violation.
 *
 * The text is cut at its tags, from left to right. A think or answer block reaches to its own closing tag, so tags inside
 * are text. A tool_call block reaches to the next tag of any kind, unless its JSON has an open string there: then the tag
 * may be part of the string, and the next one is tried, a bounded number of times in a text. A think or answer block that
 * is never closed ends where a run of other blocks begins that reaches the end of the text, otherwise at the end. A
 * `</think>` before any `<think>` makes all text before it thinking, as with chat templates that open the block in the
 * prompt.
 *
 * Invariants: calls come from tool_call blocks alone, and from none whose JSON is not whole; no call appears twice; with
 * calls, or with JSON for calls that could not be read, there is no answer; a step that is written out in the canonical
 * form and parsed again is the same step; the time is linear in the text.
 */
import { toSafeText } from '../../shared/json-limits.ts'
import { atOnce, mapSteps, type Steps } from '../../shared/yielding.ts'
import { type Block, readBlocks } from './read-blocks.ts'
import { type CallDraft, callFromEntry, callIdentity, type ParsedCall } from './read-calls.ts'
import { callsMax, createViolations, type Violation, type Violations } from './violations.ts'

export type ParsedStep = {
  readonly think: string | null
  readonly answer: string | null
  /** 32 at most for text. */
  readonly calls: readonly ParsedCall[]
  readonly violations: readonly Violation[]
}

const textsOf = (blocks: readonly Block[], kind: 'think' | 'answer'): readonly string[] =>
  blocks.flatMap((block) => (block.kind === kind ? [block.text.trim()] : []))

function* uniqueCalls(drafts: readonly CallDraft[], violations: Violations): Steps<readonly CallDraft[]> {
  const byIdentity = new Map<string, CallDraft>()
  for (const draft of drafts) {
    const identity = callIdentity(draft)
    yield
    if (byIdentity.has(identity)) violations.note('duplicate_call')
    else if (byIdentity.size === callsMax) violations.note('too_many_calls')
    else byIdentity.set(identity, draft)
  }
  return [...byIdentity.values()]
}

const readAnswer = (blocks: readonly Block[], violations: Violations): string | null => {
  const answers = textsOf(blocks, 'answer')
  if (answers.includes('')) violations.note('empty_answer')
  return answers.find((answer) => answer !== '') ?? null
}

const noteForm = (blocks: readonly Block[], violations: Violations): void => {
  for (const kind of ['think', 'tool_call', 'answer'] as const) {
    if (blocks.filter((block) => block.kind === kind).length > 1) violations.note('repeated_block')
  }
  if (!blocks.some((block) => block.kind === 'think')) violations.note('missing_think')
  if (!blocks.some((block) => block.kind !== 'think')) violations.note('no_action')
}

type CallIds = { readonly callIdPrefix?: string }

/** Call ids are `call_1`, `call_2`, … in order, or with another prefix. Never throws. */
export function* outputSteps(output: string, { callIdPrefix = 'call' }: CallIds = {}): Steps<ParsedStep> {
  const violations = createViolations()
  const text = toSafeText(output)
  if (text !== output) violations.note('unsafe_text')
  if (text.trim() === '') {
    violations.note('empty_output')
    return { think: null, answer: null, calls: [], violations: violations.list() }
  }
  const blocks = yield* readBlocks(text, violations)
  noteForm(blocks, violations)
  const entries = blocks.flatMap((block) => (block.kind === 'tool_call' ? block.entries : []))
  const drafts = yield* mapSteps(entries, (entry) => callFromEntry(entry, violations))
  const calls = yield* uniqueCalls(
    drafts.filter((draft) => draft !== null),
    violations,
  )
  const isCalling = calls.length > 0 || blocks.some((block) => block.kind === 'tool_call' && block.isMalformed)
  const answer = readAnswer(blocks, violations)
  if (isCalling && answer !== null) violations.note('call_and_answer')
  return {
    think: textsOf(blocks, 'think').filter(Boolean).join('\n\n') || null,
    answer: isCalling ? null : answer,
    calls: calls.map((call, index) => ({ toolCallId: `${callIdPrefix}_${index + 1}`, ...call })),
    violations: violations.list(),
  }
}

/** `outputSteps` at once. */
export const parseModelOutput = (output: string, ids: CallIds = {}): ParsedStep => atOnce(outputSteps(output, ids))
