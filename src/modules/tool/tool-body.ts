import { toMeasureBody } from '../session/session-body.ts'
import type { CallAnswer, StepAnswer, ToolAnswer } from './tool-answers.ts'

export const toToolAnswerBody = (answer: ToolAnswer) => ({
  tool: answer.tool,
  step_id: answer.stepId,
  result: answer.result,
  context: toMeasureBody(answer.context),
  degraded: answer.degraded,
})

export const toCallBody = (call: CallAnswer) => ({
  tool_call_id: call.toolCallId,
  name: call.name,
  status: call.status,
  ...(call.problem === null ? { result: call.result } : { problem: call.problem }),
})

export const toStepAnswerBody = (step: StepAnswer) => ({
  step_id: step.stepId,
  ...(step.think === null ? {} : { think: step.think }),
  ...(step.answer === null ? {} : { answer: step.answer }),
  calls: step.calls.map(toCallBody),
  messages: step.messages,
  violations: step.violations,
  context: toMeasureBody(step.context),
})
