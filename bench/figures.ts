/** What the benchmarks print: each figure beside its floor and its target, as lines while they run, as a table at the end. */
import type { Timing } from './timing.ts'

export type Figure = {
  readonly what: string
  readonly figure: string
  /** What the parts alone take in the same run. */
  readonly floor?: string
  /** Figure to floor. */
  readonly ratio?: number
  readonly target?: { readonly text: string; readonly isMet: boolean }
}

export type Report = { add(figure: Figure): void; toTable(): string }

export const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} ms`
export const megabytes = (bytes: number): string => `${Math.round(bytes / 1_000_000)} MB`
export const rate = (perSecond: number): string => `${Math.round(perSecond).toLocaleString('en')}/s`

export const latencies = ({ p50, p95, p99 }: Timing): string => `p50 ${ms(p50)}, p95 ${ms(p95)}, p99 ${ms(p99)}`

const cellsOf = ({ what, figure, floor, ratio, target }: Figure): readonly string[] => [
  what,
  figure,
  floor ?? '',
  ratio === undefined ? '' : ratio.toFixed(2),
  target === undefined ? '' : `${target.text}: ${target.isMet ? 'met' : 'missed'}`,
]

export const createReport = (print: (line: string) => void): Report => {
  const rows: (readonly string[])[] = []
  return {
    add: (figure) => {
      const cells = cellsOf(figure)
      rows.push(cells)
      print(cells.filter((cell) => cell !== '').join('  |  '))
    },
    toTable: () =>
      [['what', 'figure', 'floor in the same run', 'ratio', 'target'], Array.from({ length: 5 }, () => '---'), ...rows]
        .map((cells) => `| ${cells.join(' | ')} |`)
        .join('\n'),
  }
}
