/** How the demo looks: lines of at most 100 columns, colours only where the terminal shows them. */
import type { Line } from './demo-conversation.ts'
import type { ContextBody } from './wire-types.ts'

export const columns = 100
const barWidth = 24
const labelWidth = 12

const codes = { bold: '1', dim: '2', red: '31', green: '32', yellow: '33', cyan: '36' } as const
type Colour = keyof typeof codes

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

export type ScreenOptions = { readonly write: (text: string) => unknown; readonly hasColours: boolean }

export const createScreen = ({ write, hasColours }: ScreenOptions) => {
  const paint = (colour: Colour, text: string) => (hasColours ? `\x1b[${codes[colour]}m${text}\x1b[0m` : text)

  /** A label, then the text beside it, wrapped. */
  const labelled = (label: string, text: string, { indent = 2, colour }: { indent?: number; colour?: Colour } = {}) => {
    const start = ' '.repeat(indent)
    wrapText(text, columns - indent - labelWidth).forEach((line, index) => {
      const shown = `${(index === 0 ? label : '').padEnd(labelWidth)}${line}`
      write(`${start}${colour === undefined ? shown : paint(colour, shown)}\n`)
    })
  }

  const pressureColour = ({ tokens, budget_tokens: budget }: ContextBody): Colour =>
    tokens > budget ? 'red' : tokens > 0.8 * budget ? 'yellow' : 'green'

  return {
    blank: () => void write('\n'),
    paragraph: (text: string) => void write(`\n${wrapText(text, columns).join('\n')}\n`),
    heading: (text: string) => {
      write(`\n${paint('bold', `== ${text} ${'='.repeat(Math.max(0, columns - text.length - 4))}`)}\n`)
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
      const bar = paint(pressureColour(context), pressureBar(context))
      write(`    ${`  ${label}`.padEnd(labelWidth)}${bar}\n`)
    },
    verdict: (isGood: boolean, text: string) => {
      labelled(isGood ? 'ok' : 'FAILED', text, { colour: isGood ? 'green' : 'red' })
    },
  }
}

export type Screen = ReturnType<typeof createScreen>
