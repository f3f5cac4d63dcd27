import type { ChatMessage, ChatTool } from '../../ports/language-model.ts'
import type { StoredMessage } from '../context/context.repository.ts'
import type { StoredEdit } from '../context/context-edit.repository.ts'
import type { SessionStatus } from '../session/session-types.ts'
import type { Generation, RecordedCall, StepDoor } from './step.repository.ts'

/** A step as the log keeps it. Steps by other doors than the policy's have no generation. */
export type StoredStep = {
  readonly stepId: string
  readonly stepOrder: number
  readonly door: StepDoor
  readonly think: string | null
  readonly answer: string | null
  readonly violations: readonly unknown[]
  readonly contextVersionBefore: number
  readonly contextVersionAfter: number
  readonly createdAt: string
  readonly generation: Generation | null
}

/** What a prompt was composed of, as its step recorded it. */
export type PromptSource = Pick<Generation, 'promptVersion' | 'situation' | 'clientTools'> & {
  /** In the order in which the prompt showed them. */
  readonly messages: readonly StoredMessage[]
}

export type RebuiltPrompt = { readonly messages: readonly ChatMessage[]; readonly tools: readonly ChatTool[] }

/** Composes a prompt again, as it was sent; null when the texts of its version are no longer known. */
export type RebuildPrompt = (source: PromptSource) => RebuiltPrompt | null

/** A step with all that it saw, said, called and changed. */
export type TrajectoryStep = StoredStep & {
  /** Null without a generation, when left out, and when the texts of its version are no longer known. */
  readonly prompt: RebuiltPrompt | null
  readonly calls: readonly RecordedCall[]
  readonly edits: readonly StoredEdit[]
}

/** What of the large parts an answer holds. */
export type TrajectoryParts = { readonly messages: boolean; readonly tokens: boolean }

export type Reward = {
  readonly rewardId: string
  readonly sessionId: string
  readonly key: string
  readonly value: number
  /** What the value was made of, by name. */
  readonly parts: Readonly<Record<string, number>>
  readonly attachedBy: string
  readonly createdAt: string
}

/** The reward that counts of a key, with those it replaced, newest first and `historyMax` at most. */
export type RewardWithHistory = Reward & { readonly history: readonly Reward[] }

export type TrajectorySession = {
  readonly sessionId: string
  readonly agentId: string
  readonly status: SessionStatus
  readonly createdAt: string
}

/** A page of a trajectory. */
export type Trajectory = TrajectorySession & {
  readonly rewards: readonly RewardWithHistory[]
  readonly steps: readonly TrajectoryStep[]
  readonly nextCursor: string | null
}

export type TrajectorySummary = TrajectorySession & {
  readonly steps: number
  readonly doors: readonly StepDoor[]
  readonly firstStepAt: string
  readonly lastStepAt: string
  /** That took a turn in it, as the server names them. */
  readonly models: readonly string[]
  readonly modelCalls: number
  readonly promptTokens: number
  readonly completionTokens: number
  /** The value that counts, by key. */
  readonly rewards: Readonly<Record<string, number>>
}

/** Each narrows; null: not asked. Trajectories are chosen whole. */
export type TrajectoryFilter = {
  readonly agentId: string | null
  /** With a step by this door. */
  readonly door: StepDoor | null
  readonly hasReward: boolean | null
  /** Of the session. */
  readonly createdAfter: string | null
  readonly createdBefore: string | null
}
