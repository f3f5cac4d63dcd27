/**
 * Step records of many trajectories as a stream in bounded memory: one page of sessions and one page of steps are held
 * at a time, and the next is read when the reader has taken the last. Pages of steps are small, since a prompt may have
 * a hundred thousand tokens. A trajectory is exported whole or not at all, so that its steps can be counted from 0.
 */
import type { Database } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import { listRewards } from './reward.repository.ts'
import { chooseReward } from './reward.ts'
import type { RecordedCall } from './step.repository.ts'
import { type RecordInput, type StepRecord, toStepRecord } from './step-record.ts'
import { listCalls, listSteps, listTrajectorySessions } from './trajectory.repository.ts'
import type { Reward, StoredStep, TrajectoryFilter, TrajectorySession } from './trajectory-types.ts'

export const exportPageSteps = 20
/** Of a page of steps, which ends earlier where a prompt is long. */
export const stepsPageBytesMax = 8 * 1024 * 1024
const sessionsPage = 200

export type ExportRequest = {
  readonly filter: TrajectoryFilter
  /** Null: as `chooseReward` chooses. */
  readonly rewardKey: string | null
}

type StepPage = {
  readonly steps: readonly StoredStep[]
  readonly calls: ReadonlyMap<string, readonly RecordedCall[]>
  readonly rewards: readonly Reward[]
  readonly hasMore: boolean
}

/** Counts runs and steps of one session as they come. */
const createCounter = () => {
  const runs = new Map<string, number>()
  let steps = 0
  return (runId: string) => {
    const run = runs.get(runId) ?? runs.size
    runs.set(runId, run)
    steps += 1
    return { run, step: steps - 1 }
  }
}

export const createStepExport = ({ database }: { database: Database }) => {
  const readPage = (caller: Caller, sessionId: string, after: number): Promise<StepPage> =>
    database.read(
      caller.tenantId,
      async (tx) => {
        const page = { sessionId, after, limit: exportPageSteps, bytesMax: stepsPageBytesMax }
        const parts = { withTokens: true, withPrompts: false, onlyGenerated: true }
        const { steps, hasMore } = await listSteps(tx, { ...page, ...parts })
        const calls = await listCalls(tx, { sessionId, stepIds: steps.map(({ stepId }) => stepId) })
        return { steps, calls, rewards: await listRewards(tx, [sessionId]), hasMore }
      },
      caller,
    )

  async function* exportSession(
    caller: Caller,
    { sessionId, agentId }: TrajectorySession,
    rewardKey: string | null,
  ): AsyncGenerator<readonly StepRecord[]> {
    const count = createCounter()
    let after = 0
    for (;;) {
      const { steps, calls, rewards, hasMore } = await readPage(caller, sessionId, after)
      const reward = chooseReward(rewards, rewardKey)
      const inputs = steps.flatMap(({ stepId, generation }, at): readonly RecordInput[] => {
        if (generation === null) return []
        const place = { ...count(generation.runId), isLast: !hasMore && at === steps.length - 1 }
        const tools = (calls.get(stepId) ?? []).map(({ name }) => name)
        return [{ sessionId, agentId, stepId, generation, tools, place, reward }]
      })
      if (inputs.length > 0) yield inputs.map(toStepRecord)
      after = steps.at(-1)?.stepOrder ?? after
      if (!hasMore) return
    }
  }

  /** By session id, each session's policy calls in order. */
  return async function* (caller: Caller, { filter, rewardKey }: ExportRequest): AsyncGenerator<readonly StepRecord[]> {
    let after = ''
    for (;;) {
      const page = { ...filter, only: caller.agentIds, onlyGenerated: true, after, limit: sessionsPage }
      const sessions = await database.transact(caller.tenantId, (tx) => listTrajectorySessions(tx, page), caller)
      for (const session of sessions) yield* exportSession(caller, session, rewardKey)
      if (sessions.length < sessionsPage) return
      after = sessions.at(-1)?.sessionId ?? after
    }
  }
}
