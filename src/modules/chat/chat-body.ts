/** A run as OpenAI's chat endpoint answers it. */
import { madeAtMs } from '../../shared/ids.ts'
import type { RunResult } from '../policy/run-types.ts'
import { toMeasureBody } from '../session/session-body.ts'

/** What every answer of one request has in common. */
export type ChatFrame = {
  readonly sessionId: string
  readonly model: string
}

/** Seconds since 1970: when the run began, so that an answer that is given again is the same. */
export const createdOf = (runId: string): number => Math.floor(madeAtMs(runId) / 1000)

export const completionIdOf = (runId: string): string => `chatcmpl-${runId}`

/** A turn that ran into its own bound of tokens, and a run that ran into its bounds, were cut short alike. */
export const finishReasonOf = ({ clientCalls, finishReason, steps }: RunResult): 'stop' | 'length' | 'tool_calls' => {
  if (clientCalls.length > 0) return 'tool_calls'
  return finishReason === 'answer' && steps.at(-1)?.finishReason !== 'length' ? 'stop' : 'length'
}

export const toUsage = ({ usage: { promptTokens, completionTokens, cachedTokens } }: RunResult) => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
  ...(cachedTokens === null ? {} : { prompt_tokens_details: { cached_tokens: cachedTokens } }),
})

export const toExtension = ({ runId, steps, context }: RunResult, { sessionId }: ChatFrame) => ({
  session_id: sessionId,
  run_id: runId,
  step_ids: steps.map(({ stepId }) => stepId),
  context: toMeasureBody(context),
})

const toMessage = ({ answer, clientCalls }: RunResult) => ({
  role: 'assistant' as const,
  content: answer ?? (clientCalls.length === 0 ? '' : null),
  refusal: null,
  ...(clientCalls.length === 0 ? {} : { tool_calls: clientCalls }),
})

export const toCompletion = (run: RunResult, frame: ChatFrame) => ({
  id: completionIdOf(run.runId),
  object: 'chat.completion' as const,
  created: createdOf(run.runId),
  model: frame.model,
  choices: [{ index: 0, message: toMessage(run), logprobs: null, finish_reason: finishReasonOf(run) }],
  usage: toUsage(run),
  agemem: toExtension(run, frame),
})
