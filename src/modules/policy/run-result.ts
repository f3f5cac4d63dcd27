/** What a run came to, or has come to so far. */
import type { ContextMeasure } from '../session/session-types.ts'
import type { FinishReason } from './run-state.ts'
import { addUsage, noUsage, type PolicyStep, type RunResult } from './run-types.ts'
import type { TurnOutcome } from './take-turn.ts'

export type Progress = { readonly steps: PolicyStep[]; last: TurnOutcome | null }

export const resultOf = (
  runId: string,
  { steps, last }: Progress,
  { finishReason, context }: { readonly finishReason: FinishReason; readonly context: ContextMeasure },
): RunResult => ({
  runId,
  answer: last?.decision.kind === 'finish' ? last.decision.answer : null,
  finishReason,
  steps,
  usage: steps.reduce((sum, step) => addUsage(sum, step.usage), noUsage),
  context,
  clientCalls: last?.clientCalls ?? [],
})
