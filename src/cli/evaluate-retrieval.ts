/** `npm run evaluate:retrieval`: retrieval quality of a running service on LoCoMo and HotpotQA. See docs/evaluation.md. */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { hotpotqaParagraphTask, hotpotqaSentenceTask, readHotpotqa } from '../evaluation/hotpotqa.ts'
import { locomoDialogueTask, locomoSessionTask, readLocomo } from '../evaluation/locomo.ts'
import type { SearchMode } from '../evaluation/retrieval-client.ts'
import { retrievalReport, toSnakeCase } from '../evaluation/retrieval-report.ts'
import {
  type AgentTask,
  createRetrievalRunner,
  eraseAgents,
  type Outcome,
  type SourceArm,
} from '../evaluation/retrieval-runner.ts'
import { compareArms, outcomeLine, summarizeRetrieval } from '../evaluation/retrieval-summary.ts'
import { limitQuestions, type RetrievalTask, withoutSource } from '../evaluation/retrieval-task.ts'
import { createProgress } from './progress.ts'
import { type Clients, runCommand, UsageError, withService } from './run-command.ts'

const usage = `Usage: npm run evaluate:retrieval -- --data <folder> [options]

  --data <folder>     holds locomo/ and hotpotqa/
  --dataset <name>    locomo, hotpotqa or all (all)
  --questions <n>     at most n questions of each data set (LoCoMo: all; HotpotQA: 100)
  --mode <mode>       hybrid, semantic or keyword, or several with commas between them (hybrid)
  --compare-source    run everything with and without the memories' source, and compare
  --out <folder>      where to write retrieval-questions.ndjson and retrieval-summary.json (results)
  --url, --key        a running service and its tenant key; without them the command starts one of its own
  --keep              leave the agents in the service (only with --url)
  --help`

const hotpotqaQuestionsDefault = 100
const indexStallMs = 600_000
const eraseTimeoutMs = 60_000
const datasets = ['locomo', 'hotpotqa'] as const
const modes = ['hybrid', 'semantic', 'keyword'] as const

type Options = {
  readonly dataDir: string
  readonly datasets: readonly (typeof datasets)[number][]
  readonly questionsMax: number | null
  readonly modes: readonly SearchMode[]
  readonly comparesSource: boolean
  readonly outDir: string
  readonly url: string | undefined
  readonly key: string | undefined
  readonly keeps: boolean
}

const oneOf = <T extends string>(known: readonly T[], name: string, value: string): T => {
  const found = known.find((candidate) => candidate === value)
  if (found === undefined) throw new UsageError(`--${name} ${value}: choose from ${known.join(', ')}.`)
  return found
}

const wholeNumber = (name: string, text: string): number => {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new UsageError(`--${name} ${text}: give a whole number from 1 on.`)
  return Number(text)
}

/** Null: help is wanted. */
const readOptions = (args: readonly string[]): Options | null => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      data: { type: 'string' },
      dataset: { type: 'string', default: 'all' },
      questions: { type: 'string' },
      mode: { type: 'string', default: 'hybrid' },
      'compare-source': { type: 'boolean', default: false },
      out: { type: 'string', default: 'results' },
      url: { type: 'string' },
      key: { type: 'string' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return null
  if (values.data === undefined) throw new UsageError(`--data is missing.\n\n${usage}`)
  return {
    dataDir: values.data,
    datasets: values.dataset === 'all' ? datasets : [oneOf([...datasets], 'dataset', values.dataset)],
    questionsMax: values.questions === undefined ? null : wholeNumber('questions', values.questions),
    modes: [...new Set(values.mode.split(',').map((mode) => oneOf(modes, 'mode', mode.trim())))],
    comparesSource: values['compare-source'],
    outDir: values.out,
    url: values.url,
    key: values.key,
    keeps: values.keep,
  }
}

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

const readTasks = async (options: Options): Promise<readonly RetrievalTask[]> => {
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

const writeResults = async (options: Options, outcomes: readonly Outcome[], summary: unknown): Promise<void> => {
  const questionsPath = join(options.outDir, 'retrieval-questions.ndjson')
  const summaryPath = join(options.outDir, 'retrieval-summary.json')
  await writeFile(questionsPath, outcomes.map((outcome) => `${outcomeLine(outcome)}\n`).join(''))
  await writeFile(summaryPath, `${JSON.stringify(toSnakeCase(summary), null, 2)}\n`)
  print(`written: ${questionsPath}, ${summaryPath}`)
}

const evaluate = async (
  { client, cleanupClient }: Clients,
  { agentTasks, options, signal }: { agentTasks: readonly AgentTask[]; options: Options; signal: AbortSignal },
) => {
  const nowMs = () => performance.now()
  const { report } = createProgress({ stream: process.stderr, nowMs })
  const sleep = (ms: number, sleepSignal: AbortSignal) => delay(ms, undefined, { signal: sleepSignal })
  try {
    const runner = createRetrievalRunner({ client, report, signal, sleep, nowMs, indexStallMs })
    return await runner.run(agentTasks, options.modes)
  } finally {
    if (options.url !== undefined && !options.keeps) {
      const agentIds = agentTasks.map(({ agentId }) => agentId)
      const failures = await eraseAgents(cleanupClient, agentIds, AbortSignal.timeout(eraseTimeoutMs))
      for (const failure of failures) note(`could not erase the agent ${failure}`)
    }
  }
}

const main = async (signal: AbortSignal): Promise<number> => {
  const options = readOptions(process.argv.slice(2))
  if (options === null) {
    print(usage)
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
