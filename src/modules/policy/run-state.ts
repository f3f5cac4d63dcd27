/**
 * A run as a state machine: `decide` reads what the model wrote in one turn and says what happens next. Pure, so that
 * every path of a run can be tested without a model.
 *
 *   writing --calls--> (tools run) --> writing            the next turn, unless that was the last
 *   writing --answer--> finished: answer
 *   writing --neither--> writing, with corrections        in `observe`: finished, there is nothing left to do
 *   last turn without an answer --> finished: steps_max   its calls have run; text without tags is taken as the answer
 *
 * Invariants: a run has at most `turnsMax` turns; calls that were read are always run; an answer beside calls is not
 * accepted; in `observe` there is never an answer.
 */
import type { ParsedStep } from '../tool/parse-output.ts'
import type { ViolationCode } from '../tool/violations.ts'
import type { RunMode } from './policy-prompt.ts'

export type RunState = {
  readonly mode: RunMode
  /** From 1. */
  readonly turn: number
  readonly turnsMax: number
  /** What the reply before did wrong, told to the model. */
  readonly corrections: readonly string[]
}

export type FinishReason = 'answer' | 'steps_max' | 'deadline' | 'cancelled'

/** What was read of a reply, and its text outside any block, which is no answer unless nothing better comes. */
export type ReadReply = ParsedStep & { readonly looseText: string | null }

export type Decision =
  | { readonly kind: 'continue'; readonly state: RunState }
  | { readonly kind: 'finish'; readonly reason: FinishReason; readonly answer: string | null }

export const startRun = ({ mode, turnsMax }: Pick<RunState, 'mode' | 'turnsMax'>): RunState => ({
  mode,
  turn: 1,
  turnsMax,
  corrections: [],
})

/** What of a reply was lost, and with it what the model meant to do. The rest is mended. */
const losses: ReadonlySet<ViolationCode> = new Set([
  ...(['no_action', 'empty_output', 'empty_answer', 'empty_tool_call'] as const),
  ...(['malformed_json', 'malformed_call', 'too_many_calls', 'call_and_answer'] as const),
])

/** Told to the model: what it believes done and is not. What was mended is recorded silently. */
const correctionsOf = ({ violations }: ParsedStep): readonly string[] =>
  violations.filter(({ code }) => losses.has(code)).map(({ detail }) => detail)

/** Tried to call, in a form that nothing could be read of. */
const isCallLost = ({ violations }: ParsedStep): boolean =>
  violations.some(({ code }) => code === 'malformed_json' || code === 'malformed_call')

export const decide = (state: RunState, reply: ReadReply): Decision => {
  const { mode, turn, turnsMax } = state
  const isCalling = reply.calls.length > 0
  const isLast = turn >= turnsMax
  if (!isCalling && mode === 'observe' && !isCallLost(reply)) return { kind: 'finish', reason: 'answer', answer: null }
  if (!isCalling && mode === 'answer' && reply.answer !== null)
    return { kind: 'finish', reason: 'answer', answer: reply.answer }
  if (!isLast) return { kind: 'continue', state: { ...state, turn: turn + 1, corrections: correctionsOf(reply) } }
  if (!isCalling && mode === 'answer' && reply.looseText !== null)
    return { kind: 'finish', reason: 'answer', answer: reply.looseText }
  return { kind: 'finish', reason: 'steps_max', answer: null }
}
