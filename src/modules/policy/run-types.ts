import type { ChatTool, Sampling } from '../../ports/language-model.ts'
import type { Caller } from '../../shared/caller.ts'
import type { ToolCallMessage } from '../../shared/chat.ts'
import type { AppError } from '../../shared/errors.ts'
import type { NewMessage } from '../context/plan-append.ts'
import type { ContextMeasure } from '../session/session-types.ts'
import type { CallAnswer, StepAnswer } from '../tool/tool-answers.ts'
import type { RunMode, WireFormat } from './policy-prompt.ts'
import type { FinishReason } from './run-state.ts'

export type RunRequest = {
  readonly sessionId: string
  /** Appended to the context before the first turn; a function is asked for it when the run holds the session. */
  readonly input: readonly NewMessage[] | ((caller: Caller) => Promise<readonly NewMessage[]>)
  readonly mode: RunMode
  /** Told to the model, which is asked to answer on the last. */
  readonly turnsMax: number
  /** Turns that this request takes at most. */
  readonly turnsNow: number
  readonly deadlineMs: number
  readonly sampling: Sampling
  readonly format: WireFormat
  /** Functions of the client's own; a call of one ends the run and is handed to the client. */
  readonly clientTools: readonly ChatTool[]
}

export type RunUsage = {
  readonly modelCalls: number
  readonly promptTokens: number
  readonly completionTokens: number
  /** Null: the server does not tell. */
  readonly cachedTokens: number | null
}

export type PolicyStep = StepAnswer & {
  readonly turn: number
  readonly finishReason: string
  readonly usage: RunUsage
}

export type RunResult = {
  readonly runId: string
  readonly answer: string | null
  readonly finishReason: FinishReason
  readonly steps: readonly PolicyStep[]
  readonly usage: RunUsage
  readonly context: ContextMeasure
  /** Calls of the client's own functions, for the client to run. */
  readonly clientCalls: readonly ToolCallMessage[]
}

/** What happens in a run, as it happens. */
export type RunEvent =
  | { readonly type: 'step.started'; readonly stepId: string; readonly turn: number; readonly context: ContextMeasure }
  | { readonly type: 'thinking' | 'token'; readonly text: string }
  | { readonly type: 'tool.called'; readonly toolCallId: string; readonly name: string; readonly arguments: unknown }
  | { readonly type: 'tool.result'; readonly call: CallAnswer }
  | { readonly type: 'context.edited'; readonly context: ContextMeasure }
  | { readonly type: 'answer'; readonly answer: string }
  | { readonly type: 'error'; readonly failure: AppError }
  | { readonly type: 'done'; readonly result: RunResult | null }

/** Resolves when the reader has room for more. */
export type EmitEvent = (event: RunEvent) => Promise<void>

export const noUsage: RunUsage = { modelCalls: 0, promptTokens: 0, completionTokens: 0, cachedTokens: null }

export const addUsage = (one: RunUsage, other: RunUsage): RunUsage => ({
  modelCalls: one.modelCalls + other.modelCalls,
  promptTokens: one.promptTokens + other.promptTokens,
  completionTokens: one.completionTokens + other.completionTokens,
  cachedTokens:
    one.cachedTokens === null && other.cachedTokens === null
      ? null
      : (one.cachedTokens ?? 0) + (other.cachedTokens ?? 0),
})
