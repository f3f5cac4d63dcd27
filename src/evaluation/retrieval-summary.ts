/** From outcomes to figures: pure, so that a file of outcomes can be summed up again at any time. */
import { type Latency, latencyOf } from './percentiles.ts'
import { deviationOf, meanOf } from './recall.ts'
import type { SearchMode } from './retrieval-client.ts'
import { type ByCutoff, byCutoff, cutoffs, type Outcome, type SourceArm } from './retrieval-runner.ts'
import { halfSplits } from './splits.ts'

export type Figures = { readonly questions: number; readonly recall: ByCutoff; readonly tokens: ByCutoff }
export type NamedFigures = Figures & { readonly name: string }

export type SplitFigures = {
  readonly left: readonly string[]
  readonly right: readonly string[]
  readonly leftRecall: ByCutoff
  readonly rightRecall: ByCutoff
}

export type SetSummary = {
  readonly set: string
  readonly arm: SourceArm
  readonly mode: SearchMode
  readonly overall: Figures
  readonly byName: readonly NamedFigures[]
  readonly byCategory: readonly NamedFigures[]
  /** Empty unless the set has several conversations. */
  readonly splits: readonly SplitFigures[]
  /** Standard deviation of recall over the halves of all splits. */
  readonly splitDeviation: ByCutoff
  /** Milliseconds, as seen by the client, over texts asked for the first time in the run; null: there is none. */
  readonly searchMs: Latency | null
  /** What was named as not having taken part, with the number of questions. */
  readonly degraded: Readonly<Record<string, number>>
}

export type ArmComparison = {
  readonly set: string
  readonly mode: SearchMode
  readonly questions: number
  readonly withSource: ByCutoff
  readonly withoutSource: ByCutoff
  readonly gain: ByCutoff
  /** Questions whose twenty ids came in the same order in both arms. */
  readonly sameRanking: number
}

const groupBy = <T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> => {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group === undefined) groups.set(keyOf(item), [item])
    else group.push(item)
  }
  return groups
}

const recallOf = (outcomes: readonly Outcome[]): ByCutoff =>
  byCutoff((k) => meanOf(outcomes.map(({ recall }) => recall[k])))

const figuresOf = (outcomes: readonly Outcome[]): Figures => ({
  questions: outcomes.length,
  recall: recallOf(outcomes),
  tokens: byCutoff((k) => meanOf(outcomes.map(({ tokens }) => tokens[k]))),
})

const figuresBy = (outcomes: readonly Outcome[], keyOf: (outcome: Outcome) => string): readonly NamedFigures[] =>
  [...groupBy(outcomes, keyOf)].map(([name, group]) => ({ name, ...figuresOf(group) }))

const splitsOf = (outcomes: readonly Outcome[]): readonly SplitFigures[] => {
  const byName = groupBy(outcomes, ({ name }) => name)
  const pick = (names: readonly string[]) => recallOf(names.flatMap((name) => byName.get(name) ?? []))
  return halfSplits([...byName.keys()]).map(({ left, right }) => ({
    left,
    right,
    leftRecall: pick(left),
    rightRecall: pick(right),
  }))
}

const countDegraded = (outcomes: readonly Outcome[]): Readonly<Record<string, number>> =>
  Object.fromEntries(
    [
      ...groupBy(
        outcomes.flatMap(({ degraded }) => degraded),
        (part) => part,
      ),
    ].map(([part, group]) => [part, group.length]),
  )

const firstLatencyOf = (outcomes: readonly Outcome[]): Latency | null => {
  const first = outcomes.filter(({ isAskedBefore }) => !isAskedBefore)
  return first.length === 0 ? null : latencyOf(first.map(({ elapsedMs }) => elapsedMs))
}

const summarizeSet = (outcomes: readonly Outcome[], { set, arm, mode }: Outcome): SetSummary => {
  const splits = splitsOf(outcomes)
  const halves = splits.flatMap(({ leftRecall, rightRecall }) => [leftRecall, rightRecall])
  return {
    set,
    arm,
    mode,
    overall: figuresOf(outcomes),
    byName: figuresBy(outcomes, ({ name }) => name),
    byCategory: figuresBy(outcomes, ({ category }) => category).toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    splits,
    splitDeviation: byCutoff((k) => deviationOf(halves.map((recall) => recall[k]))),
    searchMs: firstLatencyOf(outcomes),
    degraded: countDegraded(outcomes),
  }
}

/** One summary per set, mode and arm, in the order in which they were run. */
export const summarizeRetrieval = (outcomes: readonly Outcome[]): readonly SetSummary[] =>
  [...groupBy(outcomes, ({ set, mode, arm }) => `${set}\n${mode}\n${arm}`).values()].flatMap((group) => {
    const [first] = group
    return first === undefined ? [] : [summarizeSet(group, first)]
  })

/** Sets and modes that were run in both arms, over the questions that both have. */
export const compareArms = (outcomes: readonly Outcome[]): readonly ArmComparison[] =>
  [...groupBy(outcomes, ({ set, mode }) => `${set}\n${mode}`).values()].flatMap((group) => {
    const without = new Map(
      group
        .filter(({ arm }) => arm === 'without_source')
        .map((outcome) => [`${outcome.name}\n${outcome.questionId}`, outcome]),
    )
    const pairs = group.flatMap((one) => {
      const other = one.arm === 'with_source' ? without.get(`${one.name}\n${one.questionId}`) : undefined
      return other === undefined ? [] : [{ one, other }]
    })
    const [first] = pairs
    if (first === undefined) return []
    const withSource = recallOf(pairs.map(({ one }) => one))
    const withoutSource = recallOf(pairs.map(({ other }) => other))
    return {
      set: first.one.set,
      mode: first.one.mode,
      questions: pairs.length,
      withSource,
      withoutSource,
      gain: byCutoff((k) => withSource[k] - withoutSource[k]),
      sameRanking: pairs.filter(({ one, other }) => one.rankedIds.join('\n') === other.rankedIds.join('\n')).length,
    }
  })

/** One line of the per-question file; snake_case like all JSON of the project. */
export const outcomeLine = (outcome: Outcome): string =>
  JSON.stringify({
    set: outcome.set,
    name: outcome.name,
    arm: outcome.arm,
    mode: outcome.mode,
    question_id: outcome.questionId,
    category: outcome.category,
    question: outcome.question,
    gold: outcome.goldIds,
    ranked: outcome.rankedIds,
    recall: Object.fromEntries(cutoffs.map((k) => [`at_${k}`, outcome.recall[k]])),
    tokens: Object.fromEntries(cutoffs.map((k) => [`top_${k}`, outcome.tokens[k]])),
    search_ms: Math.round(outcome.elapsedMs * 10) / 10,
    asked_before: outcome.isAskedBefore,
    degraded: outcome.degraded,
  })
