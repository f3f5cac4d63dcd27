/** What the suite prints at the end: each scenario with what it did and what it found. */
import type { Result } from './run-scenario.ts'

/** `broken`: a guarantee; `failed`: the scenario itself, which then says nothing about the service. */
export type Verdict = 'held' | 'broken' | 'not run' | 'failed'

export const verdictOf = ({ findings, notRun, failure }: Result): Verdict => {
  if (findings.length > 0) return 'broken'
  if (failure !== undefined) return 'failed'
  return notRun === undefined ? 'held' : 'not run'
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ')

export const toTable = (results: readonly Result[]): string => {
  const rows = results.flatMap((result) => {
    const { name, guards, seconds, figures, findings, notRun, failure } = result
    return [
      [name, `${guards.join(', ')} in ${seconds} s`, verdictOf(result)],
      ...(notRun === undefined ? [] : [['', 'could not be run here', notRun]]),
      ...(failure === undefined ? [] : [['', 'did not end well', failure]]),
      ...figures.map(({ what, value }) => ['', what, value]),
      ...findings.map(({ guarantee, what }) => ['', `BROKEN ${guarantee}`, what]),
    ]
  })
  return [['scenario', 'what', 'figure'], ['---', '---', '---'], ...rows]
    .map((cells) => `| ${cells.map(cell).join(' | ')} |`)
    .join('\n')
}

export const toSummary = (results: readonly Result[]): string => {
  const of = (verdict: Verdict) => results.filter((result) => verdictOf(result) === verdict).map(({ name }) => name)
  return (['held', 'broken', 'failed', 'not run'] as const)
    .map((verdict) => `${verdict}: ${of(verdict).join(', ') || 'none'}`)
    .join('\n')
}
