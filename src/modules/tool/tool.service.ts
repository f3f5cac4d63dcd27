/**
 * The doors to the tools: a single call (`call`), what a client's model wrote (`callAll`), and what the service's own
 * policy wrote (`runTurn`). All go the same way: prepare the slow part, then apply the effect and record
 * the call in one short unit of work. A step that was begun is completed under the same ids when its request is repeated
 * with its Idempotency-Key; another request with that key is another step.
 */
import { createHash } from 'node:crypto'
import type { Caller, IdempotencyClaim } from '../../shared/caller.ts'
import { inSlices, type Steps } from '../../shared/yielding.ts'
import type { ExpectedContext } from '../context/context-store.ts'
import type { Operation } from '../idempotency/idempotency.service.ts'
import { createToolCall, type ToolCallOptions } from './call-tool.ts'
import { openAiCallSteps } from './parse-openai-calls.ts'
import { outputSteps, type ParsedStep } from './parse-output.ts'
import { assistantMessage, createTurnRunner, type ModelTurn } from './run-turn.ts'
import { outputMissing } from './tool.errors.ts'
import type { StepAnswer } from './tool-answers.ts'

/** One of the two. */
export type ModelOutput = {
  /** Raw text: `<think>`, then `<tool_call>` or `<answer>`. */
  readonly output?: string | undefined
  /** As OpenAI has them. */
  readonly toolCalls?: unknown
}

export type ToolService = ReturnType<typeof createToolService>

/** The same for a request that is sent again, so that its step is found, and for no other request. */
const stepIdOf = (sessionId: string, { key, requestHash }: IdempotencyClaim): string => {
  const hash = createHash('sha256').update(`${sessionId}\n${key}\n`).update(requestHash).digest('hex')
  return `stp_${hash.slice(0, 32)}`
}

const readOutput = ({ output, toolCalls }: ModelOutput, stepId: string): Steps<ParsedStep> => {
  if ((output === undefined) === (toolCalls === undefined)) throw outputMissing()
  return output === undefined
    ? openAiCallSteps(toolCalls)
    : outputSteps(output, { callIdPrefix: stepId.replace('stp_', 'call_') })
}

export const createToolService = (options: ToolCallOptions) => {
  const { idempotency, contexts, createId } = options
  const runTurn = createTurnRunner(options)

  /** Everything that a model wrote in one turn, once per Idempotency-Key. */
  const callAll = async (
    caller: Caller,
    {
      sessionId,
      output: { append, ...output },
      expected = null,
    }: { sessionId: string; output: ModelOutput & { append: boolean }; expected?: ExpectedContext },
  ): Promise<StepAnswer> => {
    const { agentId, createdAt } = await contexts.readSession(caller, sessionId)
    const { idempotency: claim } = caller
    const stepId = claim === null ? createId('stp') : stepIdOf(sessionId, claim)
    const parsed = await inSlices(readOutput(output, stepId), caller.signal)
    const isAppended = append && (parsed.answer !== null || parsed.calls.length > 0)
    const turn: ModelTurn = {
      ...{ sessionId, agentId, createdAt },
      stepId,
      expected,
      mayBeRepeated: claim !== null,
      parsed,
      door: 'tool_calls',
      message: isAppended ? assistantMessage(parsed) : null,
      generation: null,
    }
    const operation: Operation<StepAnswer> = (_commit, _amend, store) => runTurn(caller, { ...turn, onWhole: store })
    return idempotency.runOnce<StepAnswer>(caller, { agentId, operation })
  }

  return { call: createToolCall(options), callAll, runTurn }
}
