/** Trajectories in the wire's names. */
import { toEditBody } from '../context/context-body.ts'
import type { Generation, RecordedCall } from './step.repository.ts'
import type {
  Reward,
  RewardWithHistory,
  Trajectory,
  TrajectoryParts,
  TrajectorySession,
  TrajectoryStep,
  TrajectorySummary,
} from './trajectory-types.ts'

const toAttachedBody = (reward: Reward) => ({
  reward_id: reward.rewardId,
  value: reward.value,
  parts: reward.parts,
  attached_by: reward.attachedBy,
  created_at: reward.createdAt,
})

export const toRewardBody = (reward: Reward) => ({
  session_id: reward.sessionId,
  key: reward.key,
  ...toAttachedBody(reward),
})

const toKeptRewardBody = (reward: RewardWithHistory) => ({
  key: reward.key,
  ...toAttachedBody(reward),
  history: reward.history.map(toAttachedBody),
})

const toCallBody = (call: RecordedCall) => ({
  tool_call_id: call.toolCallId,
  name: call.name,
  arguments: call.arguments,
  status: call.status,
  effective: call.effective,
  ...(call.problem === null ? { result: call.result } : { problem: call.problem }),
})

const toGenerationBody = (generation: Generation | null) => ({
  run_id: generation?.runId ?? null,
  turn: generation?.turn ?? null,
  model: generation?.model ?? null,
  model_version: generation?.modelVersion ?? null,
  prompt_version: generation?.promptVersion ?? null,
  situation: generation?.situation ?? null,
  output: generation?.output ?? null,
  finish_reason: generation?.finishReason ?? null,
  sampling: generation?.sampling ?? null,
  usage: generation?.usage ?? null,
})

const toTokensBody = (generation: Generation | null) => ({
  prompt_token_ids: generation?.promptTokenIds ?? null,
  token_ids: generation?.tokenIds ?? null,
  logprobs: generation?.logprobs ?? null,
})

const toStepBody = (step: TrajectoryStep, parts: TrajectoryParts) => ({
  step_id: step.stepId,
  order: step.stepOrder,
  door: step.door,
  ...toGenerationBody(step.generation),
  ...(parts.messages ? { prompt: step.prompt?.messages ?? null, prompt_tools: step.prompt?.tools ?? null } : {}),
  ...(parts.tokens ? toTokensBody(step.generation) : {}),
  think: step.think,
  answer: step.answer,
  violations: step.violations,
  calls: step.calls.map(toCallBody),
  context_version_before: step.contextVersionBefore,
  context_version_after: step.contextVersionAfter,
  edits: step.edits.map(toEditBody),
  created_at: step.createdAt,
})

const toSessionFields = (session: TrajectorySession) => ({
  session_id: session.sessionId,
  agent_id: session.agentId,
  status: session.status,
  created_at: session.createdAt,
})

export const toTrajectoryBody = (trajectory: Trajectory, parts: TrajectoryParts) => ({
  ...toSessionFields(trajectory),
  rewards: trajectory.rewards.map(toKeptRewardBody),
  steps: trajectory.steps.map((step) => toStepBody(step, parts)),
  next_cursor: trajectory.nextCursor,
})

export const toSummaryBody = (summary: TrajectorySummary) => ({
  ...toSessionFields(summary),
  steps: summary.steps,
  doors: summary.doors,
  first_step_at: summary.firstStepAt,
  last_step_at: summary.lastStepAt,
  models: summary.models,
  usage: {
    model_calls: summary.modelCalls,
    prompt_tokens: summary.promptTokens,
    completion_tokens: summary.completionTokens,
  },
  rewards: summary.rewards,
})
