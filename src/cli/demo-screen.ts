/** How the demo looks: lines of at most 100 columns, colours only where the terminal shows them. */
import type { Line } from './demo-beats.ts'
import { type Colour, createPaint, type Terminal } from './terminal.ts'
import type { ContextBody } from './wire-types.ts'

export const columns = 100
const barWidth = 24
const labelWidth = 12

/** Words of `text` in lines of at most `width` characters; a longer word gets a line of its own. */
export const wrapText = (text: string, width: number): readonly string[] => {
  const lines: string[] = []
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

export const count = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ',')

/** `[#####-------------------]  21 %  210 of 1,000 tokens` */
export const pressureBar = ({
  tokens,
  budget_tokens: budget,
}: Pick<ContextBody, 'tokens' | 'budget_tokens'>): string => {
  const share = tokens / budget
  const filled = Math.min(barWidth, Math.round(share * barWidth))
  const percent = `${Math.round(share * 100)} %`.padStart(6)
  return `[${'#'.repeat(filled)}${'-'.repeat(barWidth - filled)}]${percent}  ${count(tokens)} of ${count(budget)} tokens`
}

export const createScreen = (terminal: Terminal) => {
  const { write } = terminal
  const paint = createPaint(terminal)

  /** A label, then the text beside it, wrapped. */
  const labelled = (label: string, text: string, { indent = 2, colour }: { indent?: number; colour?: Colour } = {}) => {
    const start = ' '.repeat(indent)
    wrapText(text, columns - indent - labelWidth).forEach((line, index) => {
      const shown = `${(index === 0 ? label : '').padEnd(labelWidth)}${line}`
      write(`${start}${paint(shown, colour)}\n`)
    })
  }

  const pressureColour = ({ tokens, budget_tokens: budget }: ContextBody): Colour =>
    tokens > budget ? 'red' : tokens > 0.8 * budget ? 'yellow' : 'green'

  return {
    blank: () => void write('\n'),
    paragraph: (text: string) => void write(`\n${wrapText(text, columns).join('\n')}\n`),
    heading: (text: string) => {
      write(`\n${paint(`== ${text} ${'='.repeat(Math.max(0, columns - text.length - 4))}`, 'bold')}\n`)
    },
    say: ({ role, content }: Line) => labelled(role === 'user' ? 'Nora' : 'assistant', content),
    /** A tool call: its name and what it was given. */
    call: (name: string, text: string, why: string) => {
      write('\n')
      labelled(name, text, { indent: 4, colour: 'cyan' })
      labelled('  why', why, { indent: 4, colour: 'dim' })
    },
    detail: (label: string, text: string) => labelled(`  ${label}`, text, { indent: 4 }),
    context: (label: string, context: ContextBody) => {
      const bar = paint(pressureBar(context), pressureColour(context))
      write(`    ${`  ${label}`.padEnd(labelWidth)}${bar}\n`)
    },
    verdict: (isGood: boolean, text: string) => {
      labelled(isGood ? 'ok' : 'FAILED', text, { colour: isGood ? 'green' : 'red' })
    },
  }
}

export type Screen = ReturnType<typeof createScreen>
