/**
 * Reads what the steps of sessions recorded. A prompt is stored as what it was composed of and composed again when it is
 * read: messages never change, an edit only moves them out of the context, so the same messages come out whatever was
 * edited since.
 */
import type { Database, TenantTransaction } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import type { CreateId } from '../../shared/ids.ts'
import { decodeCursor, encodeCursor, type Page, type PageRequest, pageOf } from '../../shared/page.ts'
import { findMessages, type StoredMessage } from '../context/context.repository.ts'
import { findEdits } from '../context/context-edit.repository.ts'
import type { Idempotency } from '../idempotency/idempotency.service.ts'
import { findSession } from '../session/session.repository.ts'
import { ensureReachable } from '../session/session-access.ts'
import type { RunUnit } from '../session/units.ts'
import { editsOfCalls } from './edits-of-calls.ts'
import { createStepExport, stepsPageBytesMax } from './export-steps.ts'
import { listRewards, listRewardsWithHistory } from './reward.repository.ts'
import { createRewardAttachment } from './reward.ts'
import { listCalls, listSteps, listTrajectorySessions, readTotals } from './trajectory.repository.ts'
import type {
  RebuildPrompt,
  RebuiltPrompt,
  StoredStep,
  Trajectory,
  TrajectoryFilter,
  TrajectoryParts,
  TrajectorySession,
  TrajectoryStep,
  TrajectorySummary,
} from './trajectory-types.ts'

export type TrajectoryServiceOptions = {
  readonly database: Database
  readonly idempotency: Idempotency
  readonly runUnit: RunUnit
  readonly createId: CreateId
  /** The policy's own way from messages to a prompt. */
  readonly rebuildPrompt: RebuildPrompt
}

export type TrajectoryService = ReturnType<typeof createTrajectoryService>

/** With prompts or tokens a page holds no more: a prompt may have a hundred thousand tokens. */
const largeStepsMax = 20

type StepsPage = { readonly sessionId: string; readonly steps: readonly StoredStep[] }

/** Null when one of them is no longer kept: a prompt is given back as it was, or not at all. */
const messagesOf = (
  ids: readonly string[],
  messages: ReadonlyMap<string, StoredMessage>,
): readonly StoredMessage[] | null => {
  const found = ids.flatMap((id) => messages.get(id) ?? [])
  return found.length === ids.length ? found : null
}

export const createTrajectoryService = (options: TrajectoryServiceOptions) => {
  const { database, rebuildPrompt } = options

  const rebuildPrompts = async (
    tx: TenantTransaction,
    { sessionId, steps }: StepsPage,
  ): Promise<ReadonlyMap<string, RebuiltPrompt | null>> => {
    const messageIds = [...new Set(steps.flatMap(({ generation }) => generation?.promptMessageIds ?? []))]
    const found = await findMessages(tx, { sessionId, messageIds })
    const messages = new Map(found.map((message) => [message.messageId, message]))
    return new Map(
      steps.map(({ stepId, generation }) => {
        const shown = generation === null ? null : messagesOf(generation.promptMessageIds, messages)
        return [
          stepId,
          generation === null || shown === null ? null : rebuildPrompt({ ...generation, messages: shown }),
        ]
      }),
    )
  }

  const complete = async (
    tx: TenantTransaction,
    page: StepsPage,
    parts: TrajectoryParts,
  ): Promise<readonly TrajectoryStep[]> => {
    const { sessionId, steps } = page
    const calls = await listCalls(tx, { sessionId, stepIds: steps.map(({ stepId }) => stepId) })
    const { idsOf, editsOf } = editsOfCalls(calls)
    const edits = await findEdits(tx, { sessionId, ...idsOf })
    const prompts = parts.messages ? await rebuildPrompts(tx, page) : null
    return steps.map((step) => ({
      ...step,
      prompt: prompts?.get(step.stepId) ?? null,
      calls: calls.get(step.stepId) ?? [],
      edits: editsOf(step.stepId, edits),
    }))
  }

  const summarize = async (
    tx: TenantTransaction,
    sessions: readonly TrajectorySession[],
  ): Promise<readonly TrajectorySummary[]> => {
    const sessionIds = sessions.map(({ sessionId }) => sessionId)
    const totals = await readTotals(tx, sessionIds)
    const rewards = await listRewards(tx, sessionIds)
    return sessions.flatMap((session) => {
      const total = totals.get(session.sessionId)
      const own = rewards.filter(({ sessionId }) => sessionId === session.sessionId)
      const values = Object.fromEntries(own.map(({ key, value }) => [key, value]))
      return total === undefined ? [] : [{ ...session, ...total, rewards: values }]
    })
  }

  return {
    /** A page of the session's steps, on one snapshot. @throws AppError `session.not_found` (404) */
    get: (
      caller: Caller,
      { sessionId, parts }: { readonly sessionId: string; readonly parts: TrajectoryParts },
      { cursor, limit: asked }: PageRequest,
    ): Promise<Trajectory> => {
      const limit = parts.messages || parts.tokens ? Math.min(asked, largeStepsMax) : asked
      const list = `steps ${sessionId}`
      const [after] = decodeCursor({ list, cursor }, [0] as readonly [number])
      return database.read(
        caller.tenantId,
        async (tx) => {
          const { agentId, status, createdAt } = ensureReachable(caller, await findSession(tx, sessionId))
          const page = { sessionId, after, limit, bytesMax: stepsPageBytesMax }
          const wanted = { withTokens: parts.tokens, withPrompts: parts.messages, onlyGenerated: false }
          const { steps: read, hasMore } = await listSteps(tx, { ...page, ...wanted })
          const steps = await complete(tx, { sessionId, steps: read }, parts)
          const last = steps.at(-1)
          const nextCursor = hasMore && last !== undefined ? encodeCursor(list, [last.stepOrder]) : null
          const rewards = await listRewardsWithHistory(tx, sessionId)
          return { sessionId, agentId, status, createdAt, rewards, steps, nextCursor }
        },
        caller,
      )
    },

    /** By session id. */
    list: async (
      caller: Caller,
      filter: TrajectoryFilter,
      { cursor, limit }: PageRequest,
    ): Promise<Page<TrajectorySummary>> => {
      const [after] = decodeCursor({ list: 'trajectories', cursor }, [''] as readonly [string])
      const rows = await database.read(
        caller.tenantId,
        async (tx) => {
          const page = { ...filter, only: caller.agentIds, onlyGenerated: false, after, limit: limit + 1 }
          return summarize(tx, await listTrajectorySessions(tx, page))
        },
        caller,
      )
      return pageOf(rows, { list: 'trajectories', limit, keysOf: ({ sessionId }) => [sessionId] })
    },

    exportSteps: createStepExport(options),
    attachReward: createRewardAttachment(options),
  }
}
