/** How a chat looks: what the agent thinks is dim, what it does to memory and context stands on lines of its own. */
import { cutText } from '../shared/cut-text.ts'
import type { RunEventBody } from './chat-events.ts'
import { pressureBar } from './demo-screen.ts'
import { type Colour, createPaint, type Terminal } from './terminal.ts'
import type { ContextBody } from './wire-types.ts'

const charactersMax = 160

/** One line of at most 160 characters. */
export const shortened = (text: string): string => {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length <= charactersMax ? line : `${cutText(line, charactersMax - 1)}…`
}

export type ChatScreen = ReturnType<typeof createChatScreen>

export const createChatScreen = (terminal: Terminal) => {
  const { write } = terminal
  const paint = createPaint(terminal)
  /** What is being written piece by piece; null: the cursor is at the start of a line. */
  let flowing: 'thinking' | 'token' | null = null
  let hasSpoken = false

  const endFlow = (): void => {
    if (flowing !== null) write('\n')
    flowing = null
  }

  const line = (text: string, colour?: Colour): void => {
    endFlow()
    write(`${paint(text, colour)}\n`)
  }

  const flow = (kind: 'thinking' | 'token', text: string): void => {
    if (flowing !== kind) {
      endFlow()
      write(paint(kind === 'token' ? 'agent> ' : '  thinks ', 'bold'))
    }
    flowing = kind
    hasSpoken ||= kind === 'token'
    write(kind === 'thinking' ? paint(text, 'dim') : text)
  }

  const context = (label: string, measure: ContextBody): void =>
    line(`  ${label} ${pressureBar(measure)}`, measure.pressure > 0.8 ? 'yellow' : 'dim')

  const ended = (reason: string | undefined): void => {
    endFlow()
    if (reason !== undefined && reason !== 'answer') line(`  the run ended without an answer: ${reason}`, 'yellow')
  }

  const showResult = ({ status, result, problem }: Extract<RunEventBody, { type: 'tool.result' }>['data']): void => {
    if (status === 'ok') line(`    -> ${shortened(JSON.stringify(result))}`)
    else line(`    -> failed: ${shortened(problem?.detail ?? '')}`, 'red')
  }

  const beginStep = ({ context: measure }: { readonly context: ContextBody }): void => {
    endFlow()
    hasSpoken = false
    if (measure.pressure > 0.8) context('context', measure)
  }

  const showAnswer = ({ answer }: { readonly answer: string }): void => {
    endFlow()
    if (!hasSpoken) line(`agent> ${answer}`)
  }

  const show = (event: RunEventBody): void => {
    if (event.type === 'step.started') beginStep(event.data)
    else if (event.type === 'token' || event.type === 'thinking') flow(event.type, event.data.text)
    else if (event.type === 'tool.called')
      line(`  ${event.data.name} ${shortened(JSON.stringify(event.data.arguments))}`, 'cyan')
    else if (event.type === 'tool.result') showResult(event.data)
    else if (event.type === 'context.edited') context('context', event.data.context)
    else if (event.type === 'answer') showAnswer(event.data)
    else if (event.type === 'error') line(`  failed: ${event.data.detail}`, 'red')
    else if (event.type === 'done') ended(event.data.finish_reason)
  }

  return { line, context, show }
}
