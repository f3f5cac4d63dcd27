/**
 * The record that trainers read: one policy call with the very tokens that went in and came out. It names no engine. A
 * call that cannot be learned from is recorded all the same and says why, so that a trainer never drops one unawares.
 */
import type { Generation } from './step.repository.ts'
import type { Reward } from './trajectory-types.ts'

export const stepSchema = 'agemem.step.v1'

/** In its wire names. */
export type StepRecord = {
  readonly schema: typeof stepSchema
  readonly group_id: string | null
  readonly rollout_id: string | null
  /** Counts the runs of the session from 0 on. */
  readonly run: number
  /** Counts the policy calls of the session from 0 on. */
  readonly step: number
  readonly stage: number | null
  readonly is_last_step: boolean
  readonly prompt_token_ids: readonly number[] | null
  readonly token_ids: readonly number[] | null
  readonly logprobs: readonly number[] | null
  readonly model_version: number | null
  readonly temperature: number | null
  readonly finish_reason: string
  /** That the step called, in order. */
  readonly tools: readonly string[]
  readonly trainable: boolean
  /** Why it is not trainable. */
  readonly unusable?: string
  readonly reward: number | null
  readonly reward_parts: Readonly<Record<string, number>> | null
  readonly advantage: number | null
  readonly session_id: string
  readonly agent_id: string
  readonly step_id: string
}

export type RecordInput = {
  readonly sessionId: string
  readonly agentId: string
  readonly stepId: string
  readonly generation: Generation
  readonly tools: readonly string[]
  readonly place: { readonly run: number; readonly step: number; readonly isLast: boolean }
  readonly reward: Reward | null
}

type Tokens = Pick<Generation, 'promptTokenIds' | 'tokenIds' | 'logprobs'>

/** Null: the call can be learned from. */
export const unusableReason = ({ promptTokenIds, tokenIds, logprobs }: Tokens): string | null => {
  if (promptTokenIds === null) return 'The server gave no token ids of the prompt.'
  if (tokenIds === null || logprobs === null) return 'The server gave no token ids with log-probabilities.'
  if (tokenIds.length !== logprobs.length) return 'Token ids and log-probabilities have different lengths.'
  if (promptTokenIds.length === 0 || tokenIds.length === 0) return 'The prompt or the reply has no tokens.'
  return logprobs.every(Number.isFinite) ? null : 'A log-probability is not finite.'
}

const temperatureOf = ({ sampling }: Generation): number | null =>
  typeof sampling.temperature === 'number' ? sampling.temperature : null

export const toStepRecord = ({ generation, place, reward, ...step }: RecordInput): StepRecord => {
  const unusable = unusableReason(generation)
  return {
    schema: stepSchema,
    group_id: null,
    rollout_id: null,
    run: place.run,
    step: place.step,
    stage: null,
    is_last_step: place.isLast,
    prompt_token_ids: generation.promptTokenIds,
    token_ids: generation.tokenIds,
    logprobs: generation.logprobs,
    model_version: generation.modelVersion,
    temperature: temperatureOf(generation),
    finish_reason: generation.finishReason,
    tools: step.tools,
    trainable: unusable === null,
    ...(unusable === null ? {} : { unusable }),
    reward: reward?.value ?? null,
    reward_parts: reward?.parts ?? null,
    advantage: null,
    session_id: step.sessionId,
    agent_id: step.agentId,
    step_id: step.stepId,
  }
}
