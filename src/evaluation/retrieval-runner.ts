/**
 * Runs retrieval tasks against a service: each task gets an agent of its own, all memories are stored through the public
 * API, and the questions are asked when the index holds everything. Searches run one after another, so their times are
 * those of an idle service. What comes back is one outcome per question and mode; nothing is averaged here.
 */
import { recallAt } from './recall.ts'
import type { RetrievalClient, SearchMode } from './retrieval-client.ts'
import type { EvidenceMemory, RetrievalQuestion, RetrievalTask } from './retrieval-task.ts'

export const cutoffs = [5, 10, 20] as const
export type Cutoff = (typeof cutoffs)[number]
export type ByCutoff = Readonly<Record<Cutoff, number>>

const topK = Math.max(...cutoffs)
const batchSize = 500
const pollMs = 500

/** Whether the memories carried their place in the text. */
export type SourceArm = 'with_source' | 'without_source'

/** A task with the agent that it is to fill. */
export type AgentTask = { readonly agentId: string; readonly arm: SourceArm; readonly task: RetrievalTask }

export type Outcome = Omit<RetrievalQuestion, 'goldIds'> & {
  readonly set: string
  readonly name: string
  readonly arm: SourceArm
  readonly mode: SearchMode
  readonly goldIds: readonly string[]
  /** Best first, at most 20. */
  readonly rankedIds: readonly string[]
  readonly recall: ByCutoff
  /** Of the first k memories together: what they would take in a context. */
  readonly tokens: ByCutoff
  readonly elapsedMs: number
  /** In this run the same text was asked before and the service may know its vector: the time says little then. */
  readonly isAskedBefore: boolean
  readonly degraded: readonly string[]
}

/** `done` of `total` of `unit`; may be told more often than it is worth showing. */
export type ReportProgress = (label: string, unit: string, done: number, total: number) => void

export type RunnerDependencies = {
  readonly client: RetrievalClient
  readonly report: ReportProgress
  readonly signal: AbortSignal
  /** Resolves after `ms`, or throws when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  readonly nowMs: () => number
  /** Time without any progress of the index after which it counts as stuck. */
  readonly indexStallMs: number
}

/** The evaluation would measure something else than it says. */
export class EvaluationError extends Error {
  override readonly name = 'EvaluationError'
}

const chunksOf = <T>(items: readonly T[], size: number): readonly (readonly T[])[] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size))

export const byCutoff = (valueAt: (k: Cutoff) => number): ByCutoff => ({
  5: valueAt(5),
  10: valueAt(10),
  20: valueAt(20),
})

const countMemories = (agentTasks: readonly AgentTask[]): number =>
  agentTasks.reduce((sum, { task }) => sum + task.memories.length, 0)

const indexStalled = (agents: number, stallMs: number) =>
  new EvaluationError(
    `The index of ${agents} agent(s) has not moved for ${Math.round(stallMs / 1000)} s. Look at the service's log.`,
  )

/** What the service calls each memory. */
type EvidenceById = ReadonlyMap<string, string>

export const createRetrievalRunner = (dependencies: RunnerDependencies) => {
  const { client, report, signal, sleep, nowMs, indexStallMs } = dependencies

  const begun = new Set<string>()
  /** Texts that the service had to embed in order to search. */
  const embedded = new Set<string>()

  const addBatch = async (agentId: string, batch: readonly EvidenceMemory[]) => {
    const { results } = await client.addMemories(
      agentId,
      batch.map(({ memory }) => memory),
      { signal },
    )
    return batch.map(({ evidenceId }, index): readonly [string, string] => {
      const result = results.find((candidate) => candidate.index === index)
      if (result?.memory !== undefined) return [result.memory.memory_id, evidenceId]
      const reason = result?.problem === undefined ? 'no result' : `${result.problem.code}: ${result.problem.detail}`
      throw new EvaluationError(`The service did not store the memory ${evidenceId} (${reason}).`)
    })
  }

  const store = async (agentTasks: readonly AgentTask[]): Promise<ReadonlyMap<string, EvidenceById>> => {
    const total = countMemories(agentTasks)
    const byAgent = new Map<string, EvidenceById>()
    let done = 0
    for (const { agentId, task } of agentTasks) {
      const evidence = new Map<string, string>()
      begun.add(agentId)
      for (const batch of chunksOf(task.memories, batchSize)) {
        for (const [memoryId, evidenceId] of await addBatch(agentId, batch)) evidence.set(memoryId, evidenceId)
        done += batch.length
        report('storing', 'memories', done, total)
      }
      byAgent.set(agentId, evidence)
    }
    return byAgent
  }

  /** Where the agents that are still behind stand; an agent's share is in parts of the first lag seen of it. */
  const pollIndex = async (behind: readonly AgentTask[], firstLag: Map<string, number>) => {
    const states: { agentTask: AgentTask; lag: number; tokens: number; left: number }[] = []
    for (const agentTask of behind) {
      const { index_lag: lag, memory_tokens: tokens } = await client.getAgent(agentTask.agentId, { signal })
      const first = Math.max(lag, firstLag.get(agentTask.agentId) ?? lag)
      firstLag.set(agentTask.agentId, first)
      states.push({ agentTask, lag, tokens, left: lag === 0 ? 0 : (agentTask.task.memories.length * lag) / first })
    }
    return states
  }

  /** Resolves with the tokens that each agent's memories hold, once no agent's index lags. */
  const waitForIndex = async (agentTasks: readonly AgentTask[]): Promise<ReadonlyMap<string, number>> => {
    const total = countMemories(agentTasks)
    const storedTokens = new Map<string, number>()
    const firstLag = new Map<string, number>()
    let behind = agentTasks
    let fewest = Number.POSITIVE_INFINITY
    let movedAtMs = nowMs()
    for (;;) {
      const states = await pollIndex(behind, firstLag)
      for (const { agentTask, lag, tokens } of states) if (lag === 0) storedTokens.set(agentTask.agentId, tokens)
      behind = states.filter(({ lag }) => lag > 0).map(({ agentTask }) => agentTask)
      const left = states.reduce((sum, state) => sum + state.left, 0)
      report('indexing', 'memories', Math.floor(total - left), total)
      if (behind.length === 0) return storedTokens
      if (left < fewest) {
        fewest = left
        movedAtMs = nowMs()
      }
      if (nowMs() - movedAtMs > indexStallMs) throw indexStalled(behind.length, indexStallMs)
      await sleep(pollMs, signal)
    }
  }

  const ask = async (
    { agentId, arm, task }: AgentTask,
    { question, mode, evidence }: { question: RetrievalQuestion; mode: SearchMode; evidence: EvidenceById },
  ): Promise<Outcome> => {
    const search = { query: question.question, top_k: topK, mode }
    const { results, degraded, elapsedMs } = await client.searchMemories(agentId, search, { signal })
    const isAskedBefore = mode !== 'keyword' && embedded.has(question.question)
    if (mode !== 'keyword') embedded.add(question.question)
    const rankedIds = results.map(({ memory }) => evidence.get(memory.memory_id) ?? memory.memory_id)
    return {
      set: task.set,
      name: task.name,
      arm,
      mode,
      ...question,
      rankedIds,
      recall: byCutoff((k) => recallAt(question.goldIds, rankedIds, k)),
      tokens: byCutoff((k) => results.slice(0, k).reduce((sum, { memory }) => sum + memory.tokens, 0)),
      elapsedMs,
      isAskedBefore,
      degraded,
    }
  }

  return {
    /** The agents that the service may hold something of. */
    begunAgentIds: (): readonly string[] => [...begun],

    /** Fills the agents and asks everything. @throws EvaluationError when a memory is refused or the index stalls */
    run: async (agentTasks: readonly AgentTask[], modes: readonly SearchMode[]) => {
      const evidenceByAgent = await store(agentTasks)
      const storedTokens = await waitForIndex(agentTasks)
      const outcomes: Outcome[] = []
      const total = agentTasks.reduce((sum, { task }) => sum + task.questions.length, 0) * modes.length
      for (const mode of modes) {
        for (const agentTask of agentTasks) {
          const evidence = evidenceByAgent.get(agentTask.agentId) ?? new Map<string, string>()
          for (const question of agentTask.task.questions) {
            outcomes.push(await ask(agentTask, { question, mode, evidence }))
            report(`asking, ${mode}`, 'questions', outcomes.length, total)
          }
        }
      }
      return { outcomes, storedTokens }
    },
  }
}

/** Erases the agents, whatever became of the run. What failed is handed back, for people to see. */
export const eraseAgents = async (
  client: Pick<RetrievalClient, 'eraseAgent'>,
  agentIds: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> => {
  const failures: string[] = []
  for (const agentId of agentIds) {
    await client.eraseAgent(agentId, { signal }).catch((error: unknown) => {
      failures.push(`${agentId}: ${error instanceof Error ? error.message : String(error)}`)
    })
  }
  return failures
}
