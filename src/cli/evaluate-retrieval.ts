/** `npm run evaluate:retrieval`: retrieval quality of a running service on LoCoMo and HotpotQA. See docs/evaluation.md. */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { hotpotqaParagraphTask, hotpotqaSentenceTask, readHotpotqa } from '../evaluation/hotpotqa.ts'
import { locomoDialogueTask, locomoSessionTask, readLocomo } from '../evaluation/locomo.ts'
import { retrievalReport } from '../evaluation/retrieval-report.ts'
import {
  type AgentTask,
  createRetrievalRunner,
  eraseAgents,
  type Outcome,
  type SourceArm,
} from '../evaluation/retrieval-runner.ts'
import { compareArms, outcomeLine, summarizeRetrieval } from '../evaluation/retrieval-summary.ts'
import { limitQuestions, type RetrievalTask, withoutSource } from '../evaluation/retrieval-task.ts'
import { toSnakeCase } from '../shared/snake-case.ts'
import { type EvaluationOptions, evaluationUsage, readEvaluationOptions } from './evaluation-options.ts'
import { createProgress } from './progress.ts'
import { type Clients, runCommand, withService } from './run-command.ts'

const hotpotqaQuestionsDefault = 100
const indexStallMs = 600_000
const eraseTimeoutMs = 60_000
type ArmTask = { readonly arm: SourceArm; readonly task: RetrievalTask }

/** A dialogue has an order that the store should know; a pool of paragraphs has none. */
const naturalArm = (task: RetrievalTask): SourceArm =>
  task.set === 'locomo-dialogue' ? 'with_source' : 'without_source'

const armsOf = (task: RetrievalTask, comparesSource: boolean): readonly ArmTask[] => {
  const withArm: ArmTask = { arm: 'with_source', task }
  const withoutArm: ArmTask = { arm: 'without_source', task: withoutSource(task) }
  const hasSource = task.memories.some(({ memory }) => memory.source !== undefined)
  if (comparesSource && hasSource) return [withArm, withoutArm]
  return naturalArm(task) === 'with_source' ? [withArm] : [withoutArm]
}

const readTasks = async (options: EvaluationOptions): Promise<readonly RetrievalTask[]> => {
  const tasks: RetrievalTask[] = []
  if (options.datasets.includes('locomo')) {
    const conversations = await readLocomo(options.dataDir)
    const questionsMax = options.questionsMax ?? Number.POSITIVE_INFINITY
    tasks.push(...limitQuestions(conversations.map(locomoDialogueTask), questionsMax))
    tasks.push(...limitQuestions(conversations.map(locomoSessionTask), questionsMax))
  }
  if (options.datasets.includes('hotpotqa')) {
    const rows = (await readHotpotqa(options.dataDir)).slice(0, options.questionsMax ?? hotpotqaQuestionsDefault)
    tasks.push(hotpotqaParagraphTask(rows), hotpotqaSentenceTask(rows))
  }
  return tasks
}

const toAgentTasks = (tasks: readonly RetrievalTask[], comparesSource: boolean): readonly AgentTask[] => {
  const runId = randomBytes(4).toString('hex')
  return tasks
    .flatMap((task) => armsOf(task, comparesSource))
    .map(({ arm, task }, index) => ({ agentId: `evaluation-${runId}-${index + 1}:${task.set}`, arm, task }))
}

const print = (text: string): void => void process.stdout.write(`${text}\n`)
const note = (text: string): void => void process.stderr.write(`${text}\n`)

const describeTask = ({ agentId, task }: AgentTask, tokens: ReadonlyMap<string, number>) => ({
  set: task.set,
  name: task.name,
  agentId,
  memories: task.memories.length,
  memoryTokens: tokens.get(agentId) ?? null,
  questions: task.questions.length,
  /** Evidence that the data names but does not hold; each counts as missed. */
  goldWithoutMemory: countDangling(task),
})

const countDangling = ({ memories, questions }: RetrievalTask): number => {
  const ids = new Set(memories.map(({ evidenceId }) => evidenceId))
  return questions.flatMap(({ goldIds }) => goldIds).filter((id) => !ids.has(id)).length
}

const writeResults = async (
  options: EvaluationOptions,
  outcomes: readonly Outcome[],
  summary: unknown,
): Promise<void> => {
  const questionsPath = join(options.outDir, 'retrieval-questions.ndjson')
  const summaryPath = join(options.outDir, 'retrieval-summary.json')
  await writeFile(questionsPath, outcomes.map((outcome) => `${outcomeLine(outcome)}\n`).join(''))
  await writeFile(summaryPath, `${JSON.stringify(toSnakeCase(summary), null, 2)}\n`)
  print(`written: ${questionsPath}, ${summaryPath}`)
}

const evaluate = async (
  { client, cleanupClient }: Clients,
  {
    agentTasks,
    options,
    signal,
  }: { agentTasks: readonly AgentTask[]; options: EvaluationOptions; signal: AbortSignal },
) => {
  const nowMs = () => performance.now()
  const { report } = createProgress({ stream: process.stderr, nowMs })
  const sleep = (ms: number, sleepSignal: AbortSignal) => delay(ms, undefined, { signal: sleepSignal })
  const runner = createRetrievalRunner({ client, report, signal, sleep, nowMs, indexStallMs })
  try {
    return await runner.run(agentTasks, options.modes)
  } finally {
    if (options.url !== undefined && !options.keeps) {
      const failures = await eraseAgents(cleanupClient, runner.begunAgentIds(), AbortSignal.timeout(eraseTimeoutMs))
      for (const failure of failures) note(`could not erase the agent ${failure}`)
    }
  }
}

const main = async (signal: AbortSignal): Promise<number> => {
  const options = readEvaluationOptions(process.argv.slice(2))
  if (options === null) {
    print(evaluationUsage)
    return 0
  }
  const agentTasks = toAgentTasks(await readTasks(options), options.comparesSource)
  await mkdir(options.outDir, { recursive: true })
  const startedAt = new Date().toISOString()
  const { outcomes, storedTokens } = await withService(options, { signal, announce: note }, (clients) =>
    evaluate(clients, { agentTasks, options, signal }),
  )
  const sets = summarizeRetrieval(outcomes)
  const comparisons = compareArms(outcomes)
  const agents = agentTasks.map((agentTask) => describeTask(agentTask, storedTokens))
  print(retrievalReport(sets, comparisons))
  await writeResults(options, outcomes, { startedAt, endedAt: new Date().toISOString(), agents, sets, comparisons })
  return 0
}

await runCommand(main)
