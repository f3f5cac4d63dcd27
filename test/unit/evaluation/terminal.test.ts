import { describe, expect, it } from 'vitest'
import { demoBeats, finalChecks } from '../../../src/cli/demo-conversation.ts'
import { columns, createScreen, pressureBar } from '../../../src/cli/demo-screen.ts'
import { createProgress } from '../../../src/cli/progress.ts'

const makeProgress = (isTTY: boolean) => {
  const written: string[] = []
  let timeMs = 0
  const stream = { write: (text: string) => written.push(text), isTTY, columns: 80 }
  const { report } = createProgress({ stream, nowMs: () => timeMs })
  const at = (ms: number, done: number) => {
    timeMs = ms
    report('indexing', 'memories', done, 1000)
  }
  return { written, at }
}

describe('progress', () => {
  it('writes plain lines, few of them, where there is no terminal', () => {
    const { written, at } = makeProgress(false)
    at(0, 0)
    for (let ms = 100; ms <= 9_900; ms += 100) at(ms, ms / 100)
    at(10_000, 200)
    at(20_000, 1000)
    expect(written.map((line) => line.replace(/ +/g, ' '))).toEqual([
      'indexing 0/1000 memories, 0.0/s\n',
      'indexing 200/1000 memories, 20.0/s, 40 s left\n',
      'indexing 1000/1000 memories, 50.0/s, in 20 s\n',
    ])
  })

  it('redraws one line of a terminal, never wider than it', () => {
    const { written, at } = makeProgress(true)
    at(0, 0)
    at(50, 3)
    at(5_000, 500)
    expect(written).toHaveLength(2)
    expect(written[1]).toContain('[############------------]')
    expect(written.every((text) => text.startsWith('\r') && text.replace('\r\x1b[2K', '').length < 80)).toBe(true)
  })
})

describe('a forecast', () => {
  it('is not made before a tenth of the work is done', () => {
    const { written, at } = makeProgress(false)
    at(0, 0)
    at(10_000, 99)
    at(20_000, 100)
    expect(written[1]).not.toContain('left')
    expect(written[2]).toContain('3 min 00 s left')
  })
})

describe('the demo', () => {
  const show = (hasColours: boolean) => {
    let text = ''
    const screen = createScreen({ write: (part) => (text += part), hasColours })
    for (const beat of demoBeats) {
      if (beat.kind === 'day') screen.heading(beat.title)
      else if (beat.kind === 'say') beat.lines.forEach(screen.say)
      else screen.call(beat.kind, JSON.stringify(beat), beat.why)
    }
    screen.context('after', { version: 1, tokens: 900, budget_tokens: 1000, pressure: 0.9 })
    return text
  }

  it('fits 100 columns and has no escape codes unless colours are wanted', () => {
    const text = show(false)
    expect(text.split('\n').filter((line) => line.length > columns)).toEqual([])
    expect(text).not.toContain('\x1b')
    expect(show(true)).toContain('\x1b[')
  })

  it('shows how full the context is, over its budget too', () => {
    expect(pressureBar({ tokens: 250, budget_tokens: 1000 })).toBe(
      '[######------------------]  25 %  250 of 1,000 tokens',
    )
    expect(pressureBar({ tokens: 2500, budget_tokens: 1000 })).toBe(
      '[########################] 250 %  2,500 of 1,000 tokens',
    )
  })

  it('uses all six tools, and tells about 60 turns', () => {
    const kinds = new Set(demoBeats.map(({ kind }) => kind))
    expect([...kinds].sort()).toEqual(['add', 'day', 'delete', 'filter', 'retrieve', 'say', 'summary', 'update'])
    const turns = demoBeats.flatMap((beat) => (beat.kind === 'say' ? beat.lines : []))
    expect(turns.length).toBeGreaterThanOrEqual(55)
    expect(turns.length).toBeLessThanOrEqual(65)
  })

  it('asks in the end for what the story last said, and never for what an update or a delete took away', () => {
    const present = new Map<string, string>()
    for (const beat of demoBeats) {
      if (beat.kind === 'add' || beat.kind === 'update') present.set(beat.fact, beat.content)
      if (beat.kind === 'delete') present.delete(beat.fact)
    }
    const text = [...present.values()].join('\n')
    for (const { expected, gone } of finalChecks) {
      for (const part of expected) expect(text).toContain(part)
      for (const part of gone) expect(text).not.toContain(part)
    }
  })
})
