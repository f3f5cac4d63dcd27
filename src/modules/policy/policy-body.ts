/** Runs between the wire's snake_case and the domain's camelCase. */
import { ensureMessageFits, fromMessageBodies } from '../context/context-body.ts'
import type { NewMessage } from '../context/plan-append.ts'
import { toMeasureBody } from '../session/session-body.ts'
import { problemOf } from '../tool/tool-answers.ts'
import { toCallBody } from '../tool/tool-body.ts'
import type { PolicyRunBody, SamplingBody } from './policy.schemas.ts'
import type { WireFormat } from './policy-prompt.ts'
import type { PolicyStep, RunEvent, RunRequest, RunResult, RunUsage } from './run-types.ts'

/** What a request does not say. */
export type PolicyDefaults = {
  readonly format: WireFormat
  readonly turnsMax: number
  readonly deadlineMs: number
  readonly temperature: number
  readonly tokensMax: number
}

export const fromSamplingBody = (
  body: SamplingBody | undefined,
  { temperature, tokensMax }: PolicyDefaults,
): RunRequest['sampling'] => ({
  temperature: body?.temperature ?? temperature,
  topP: body?.top_p ?? 1,
  tokensMax: body?.max_tokens ?? tokensMax,
  seed: body?.seed ?? null,
  stop: body?.stop ?? [],
})

const fromInput = (input: PolicyRunBody['input']): readonly NewMessage[] => {
  if (input === undefined) return []
  if (typeof input === 'string') return [ensureMessageFits({ role: 'user', content: input })]
  return fromMessageBodies(input, '/input')
}

export const fromRunBody = (
  body: PolicyRunBody,
  { sessionId, defaults, turnsNow }: { sessionId: string; defaults: PolicyDefaults; turnsNow: number | null },
): RunRequest => {
  const turnsMax = body.steps_max ?? defaults.turnsMax
  return {
    sessionId,
    input: fromInput(body.input),
    mode: body.mode ?? 'answer',
    turnsMax,
    turnsNow: turnsNow ?? turnsMax,
    deadlineMs: body.deadline_ms ?? defaults.deadlineMs,
    sampling: fromSamplingBody(body.sampling, defaults),
    format: defaults.format,
    clientTools: [],
  }
}

const toUsageBody = (usage: RunUsage) => ({
  model_calls: usage.modelCalls,
  prompt_tokens: usage.promptTokens,
  completion_tokens: usage.completionTokens,
  cached_tokens: usage.cachedTokens,
})

export const toStepBody = (step: PolicyStep) => ({
  step_id: step.stepId,
  turn: step.turn,
  ...(step.think === null ? {} : { think: step.think }),
  ...(step.answer === null ? {} : { answer: step.answer }),
  calls: step.calls.map(toCallBody),
  violations: step.violations,
  finish_reason: step.finishReason,
  usage: toUsageBody(step.usage),
  context: toMeasureBody(step.context),
})

export const toRunBody = (run: RunResult) => ({
  run_id: run.runId,
  answer: run.answer,
  finish_reason: run.finishReason,
  steps: run.steps.map(toStepBody),
  usage: toUsageBody(run.usage),
  context: toMeasureBody(run.context),
})

const eventData = (event: RunEvent): unknown => {
  switch (event.type) {
    case 'step.started':
      return { step_id: event.stepId, turn: event.turn, context: toMeasureBody(event.context) }
    case 'tool.called':
      return { tool_call_id: event.toolCallId, name: event.name, arguments: event.arguments }
    case 'tool.result':
      return toCallBody(event.call)
    case 'context.edited':
      return { context: toMeasureBody(event.context) }
    case 'error':
      return problemOf(event.failure)
    case 'done':
      return event.result === null ? {} : toRunBody(event.result)
    case 'answer':
      return { answer: event.answer }
    case 'thinking':
    case 'token':
      return { text: event.text }
  }
}

/** Ids name the run, so that a client that comes back finds it. */
export const toServerSentEvent = (
  runId: string,
  { number, event }: { readonly number: number; readonly event: RunEvent },
): { readonly id: string; readonly type: string; readonly data: unknown } => ({
  id: `${runId}:${number}`,
  type: event.type,
  data: eventData(event),
})

/** The run and the last event that a client has seen; null when that is no id of ours. */
export const fromEventId = (id: string): { readonly runId: string; readonly number: number } | null => {
  const [, runId, number] = /^(run_[0-9a-f]{32}):(\d{1,9})$/.exec(id) ?? []
  return runId === undefined ? null : { runId, number: Number(number) }
}
