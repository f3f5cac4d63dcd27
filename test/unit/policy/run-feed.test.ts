import { describe, expect, it } from 'vitest'
import { createRunFeed } from '../../../src/modules/policy/run-feed.ts'
import type { RunEvent } from '../../../src/modules/policy/run-types.ts'

const { signal } = new AbortController()
const token = (text: string): RunEvent => ({ type: 'token', text })
const textOf = ({ event }: { event: RunEvent }) => (event.type === 'token' ? event.text : '')

describe('the feed of a run', () => {
  it('gives every reader every event after the one it has seen', async () => {
    const feed = createRunFeed({ graceMs: 1_000, aheadMax: 10 })
    for (const text of ['a', 'b', 'c']) await feed.emit(token(text))
    feed.end()
    const read = async (after: number) => {
      const texts: string[] = []
      for await (const event of feed.read(after, { idleMs: 1_000, signal }))
        if (event !== null) texts.push(textOf(event))
      return texts
    }
    expect(await Promise.all([read(0), read(2), read(9)])).toEqual([['a', 'b', 'c'], ['c'], []])
  })

  it('holds the run back while a reader is too far behind', async () => {
    const feed = createRunFeed({ graceMs: 1_000, aheadMax: 2 })
    const reader = feed.read(0, { idleMs: 1_000, signal })
    await feed.emit(token('a'))
    expect((await reader.next()).value?.number).toBe(1)
    await feed.emit(token('b'))
    let isAhead = false
    const held = feed.emit(token('c')).then(() => {
      isAhead = true
    })
    await Promise.resolve()
    expect(isAhead).toBe(false)
    await reader.next()
    await held
    expect(isAhead).toBe(true)
    await reader.return(undefined)
  })

  it('lets a reader go that waits, when its signal aborts', async () => {
    const feed = createRunFeed({ graceMs: 5, aheadMax: 2 })
    const leaving = new AbortController()
    const reader = feed.read(0, { idleMs: 60_000, signal: leaving.signal })
    const waiting = reader.next()
    leaving.abort()
    expect((await waiting).done).toBe(true)
    await expect.poll(() => feed.signal.aborted).toBe(true)
  })

  it('says now and then that it is still there', async () => {
    const feed = createRunFeed({ graceMs: 1_000, aheadMax: 2 })
    const reader = feed.read(0, { idleMs: 5, signal })
    expect((await reader.next()).value).toBeNull()
    await reader.return(undefined)
  })

  it('gives a run up when its last reader stays away', async () => {
    const feed = createRunFeed({ graceMs: 5, aheadMax: 2 })
    await feed.emit(token('a'))
    const reader = feed.read(0, { idleMs: 1_000, signal })
    await reader.next()
    await reader.return(undefined)
    await expect.poll(() => feed.signal.aborted).toBe(true)
  })

  it('gives a run up whose reader never came', async () => {
    const feed = createRunFeed({ graceMs: 5, aheadMax: 2 })
    await feed.emit(token('a'))
    feed.expectReader()
    await expect.poll(() => feed.signal.aborted).toBe(true)
  })

  it('lets a cancelled run end, whoever reads', async () => {
    const feed = createRunFeed({ graceMs: 1_000, aheadMax: 0 })
    const reader = feed.read(0, { idleMs: 1_000, signal })
    const held = feed.emit(token('a'))
    expect((await reader.next()).value?.number).toBe(1)
    feed.cancel()
    await held
    await reader.return(undefined)
  })
})
