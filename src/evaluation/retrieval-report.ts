/** Figures as text for a terminal of 100 columns. */
import type { Latency } from './percentiles.ts'
import { type ByCutoff, cutoffs } from './retrieval-runner.ts'
import type { ArmComparison, NamedFigures, SetSummary } from './retrieval-summary.ts'

const percent = (value: number): string => (Number.isNaN(value) ? '-' : (100 * value).toFixed(1))
const points = (value: number): string => `${value >= 0 ? '+' : ''}${(100 * value).toFixed(1)}`
const recallCells = (recall: ByCutoff): string => cutoffs.map((k) => percent(recall[k]).padStart(7)).join('')
const tokenCells = (tokens: ByCutoff): string => cutoffs.map((k) => String(Math.round(tokens[k])).padStart(8)).join('')

const header = `${''.padEnd(30)}${'questions'.padStart(10)}${cutoffs.map((k) => `R@${k}`.padStart(7)).join('')}${cutoffs
  .map((k) => `tok@${k}`.padStart(8))
  .join('')}`

const figuresLine = ({ name, questions, recall, tokens }: NamedFigures): string =>
  `${`  ${name}`.slice(0, 30).padEnd(30)}${String(questions).padStart(10)}${recallCells(recall)}${tokenCells(tokens)}`

const armNames = { with_source: 'with source', without_source: 'without source' } as const

const latencyLine = (latency: Latency | null): string => {
  if (latency === null)
    return '  search ms: not shown, the questions were asked before in this run and their vectors are known'
  const { p50, p95, p99, max } = latency
  return `  search ms: p50 ${p50.toFixed(1)}, p95 ${p95.toFixed(1)}, p99 ${p99.toFixed(1)}, max ${max.toFixed(1)}`
}

const splitsListedMax = 10

const splitLines = ({ splits, splitDeviation }: SetSummary): readonly string[] => {
  if (splits.length === 0) return []
  const halves = splits.flatMap(({ leftRecall, rightRecall }) => [leftRecall[10], rightRecall[10]])
  const range = `${percent(Math.min(...halves))} to ${percent(Math.max(...halves))}`
  const listed = splits.length > splitsListedMax ? [] : splits
  return [
    `  half-and-half splits: ${splits.length}; R@10 of a half ${range}, standard deviation ${percent(splitDeviation[10])}`,
    '  (the weights are fixed, nothing is fitted on a half: a spread over conversations, not a test)',
    ...listed.flatMap(({ left, right, leftRecall, rightRecall }) => [
      `${`    ${left.join(', ')}`.padEnd(40)}${recallCells(leftRecall)}`,
      `${`    | ${right.join(', ')}`.padEnd(40)}${recallCells(rightRecall)}`,
    ]),
  ]
}

const degradedLines = ({ degraded, overall }: SetSummary): readonly string[] =>
  Object.entries(degraded).map(
    ([part, count]) => `  DEGRADED: ${part} did not take part in ${count} of ${overall.questions} searches`,
  )

const setLines = (summary: SetSummary): readonly string[] => {
  const { set, arm, mode, overall, byName, byCategory, searchMs } = summary
  return [
    `${set}, ${mode}, ${armNames[arm]}`,
    header,
    figuresLine({ name: 'overall', ...overall }),
    ...(byName.length > 1 ? byName.map(figuresLine) : []),
    ...(byCategory.length > 1 ? byCategory.map(figuresLine) : []),
    ...splitLines(summary),
    latencyLine(searchMs),
    ...degradedLines(summary),
    '',
  ]
}

const comparisonLines = (comparisons: readonly ArmComparison[]): readonly string[] => {
  if (comparisons.length === 0) return []
  return [
    'source: with against without, over the same questions',
    `${''.padEnd(30)}${'questions'.padStart(10)}${cutoffs.map((k) => `R@${k}`.padStart(7)).join('')}   same ranking`,
    ...comparisons.flatMap(({ set, mode, questions, withSource, withoutSource, gain, sameRanking }) => [
      `${`  ${set}, ${mode}`.padEnd(30)}${String(questions).padStart(10)}`,
      `${'    with'.padEnd(40)}${recallCells(withSource)}`,
      `${'    without'.padEnd(40)}${recallCells(withoutSource)}`,
      `${'    gain'.padEnd(40)}${cutoffs.map((k) => points(gain[k]).padStart(7)).join('')}   ${sameRanking} of ${questions}`,
    ]),
    '',
  ]
}

/** What the command prints when it is done. */
export const retrievalReport = (summaries: readonly SetSummary[], comparisons: readonly ArmComparison[]): string =>
  [...summaries.flatMap(setLines), ...comparisonLines(comparisons)].join('\n')
