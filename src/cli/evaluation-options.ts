/** Options of `npm run evaluate:retrieval`. */
import { parseArgs } from 'node:util'
import type { SearchMode } from '../evaluation/retrieval-client.ts'
import { UsageError } from './run-command.ts'

export const evaluationUsage = `Usage: npm run evaluate:retrieval -- --data <folder> [options]

  --data <folder>     holds locomo/ and hotpotqa/
  --dataset <name>    locomo, hotpotqa or all (all)
  --questions <n>     at most n questions of each data set (LoCoMo: all; HotpotQA: 100)
  --mode <mode>       hybrid, semantic or keyword, or several with commas between them (hybrid)
  --compare-source    run everything with and without the memories' source, and compare
  --out <folder>      where to write retrieval-questions.ndjson and retrieval-summary.json (results)
  --url, --key        a running service and its tenant key; without them the command starts one of its own
  --keep              leave the agents in the service (only with --url)
  --help`

const datasets = ['locomo', 'hotpotqa'] as const
const modes = ['hybrid', 'semantic', 'keyword'] as const

export type EvaluationOptions = {
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
export const readEvaluationOptions = (args: readonly string[]): EvaluationOptions | null => {
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
  if (values.data === undefined) throw new UsageError(`--data is missing.\n\n${evaluationUsage}`)
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
