/** What the doors answer with, in the service's own names; the routes render it. */
import type { AppError, FieldError } from '../../shared/errors.ts'
import type { ContextMeasure } from '../session/session-types.ts'
import type { RecordedCall } from '../trajectory/step.repository.ts'
import type { ParsedStep } from './parse-output.ts'
import type { ToolKey } from './tool-parameters.ts'
import type { Violation } from './violations.ts'

export type ToolAnswer = {
  readonly tool: ToolKey
  readonly stepId: string
  readonly result: Readonly<Record<string, unknown>>
  readonly context: ContextMeasure
  readonly degraded: readonly string[]
}

/** What a model reads of a call that failed. */
export type CallProblemBody = {
  readonly code: string
  readonly status: number
  readonly detail: string
  readonly errors?: readonly FieldError[]
}

export type CallAnswer = {
  readonly toolCallId: string
  readonly name: string
  readonly status: 'ok' | 'error'
  readonly result: unknown
  readonly problem: CallProblemBody | null
}

export type StepAnswer = {
  readonly stepId: string
  readonly think: string | null
  readonly answer: string | null
  readonly calls: readonly CallAnswer[]
  /** The tool messages, in OpenAI's form, that answer the calls. */
  readonly messages: readonly { readonly role: 'tool'; readonly tool_call_id: string; readonly content: string }[]
  readonly violations: readonly Violation[]
  readonly context: ContextMeasure
}

export const problemOf = ({ code, status, detail, errors }: AppError): CallProblemBody => ({
  code,
  status,
  detail,
  ...(errors.length === 0 ? {} : { errors }),
})

/** What a model reads of a call: its result, or why there is none. */
export const toolMessageContent = (call: Pick<RecordedCall, 'result' | 'problem'>): string =>
  JSON.stringify(call.result ?? { error: call.problem })

export const stepAnswerOf = ({
  stepId,
  parsed,
  recorded,
  context,
}: {
  readonly stepId: string
  readonly parsed: ParsedStep
  readonly recorded: readonly RecordedCall[]
  readonly context: ContextMeasure
}): StepAnswer => ({
  stepId,
  think: parsed.think,
  answer: parsed.answer,
  calls: recorded.map((call) => ({
    toolCallId: call.toolCallId,
    name: call.name,
    status: call.status,
    result: call.result,
    problem: call.problem as CallAnswer['problem'],
  })),
  messages: recorded.map((call) => ({
    role: 'tool' as const,
    tool_call_id: call.toolCallId,
    content: toolMessageContent(call),
  })),
  violations: parsed.violations,
  context,
})
