import { describe, expect, it } from 'vitest'
import { createExports } from '../../../src/http/exports.ts'
import type { Caller } from '../../../src/shared/caller.ts'

const callerOf = (tenantId: string, signal = new AbortController().signal): Caller => ({
  ...{ tenantId, signal, actor: 'key', requestId: 'req', scopes: [], agentIds: null, idempotency: null },
})

const toBody = (name: string) => ({ name })
const linesOf = (text: string) => text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line).name]))

const readAll = async (texts: AsyncIterable<string>): Promise<string> => {
  let all = ''
  for await (const text of texts) all += text
  return all
}

/** Pages that are read when the gate opens, and what of them is being read, has been read, and was ended. */
const createSource = () => {
  const reading: string[] = []
  const read: string[] = []
  const ended: string[] = []
  let open = (): void => {}
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  async function* pagesOf(name: string, count: number): AsyncGenerator<readonly string[]> {
    try {
      for (let page = 0; page < count; page += 1) {
        reading.push(name)
        await gate
        reading.splice(reading.indexOf(name), 1)
        read.push(name)
        yield [`${name} ${page}`]
      }
    } finally {
      ended.push(name)
    }
  }
  return { pagesOf, reading, read, ended, open: () => open() }
}

describe('exports', () => {
  it('A2: of one tenant read one page at a time, however many they are, and those of others meanwhile', async () => {
    const exports = createExports({ isAlone: () => false })
    const source = createSource()
    const start = (tenantId: string, name: string) =>
      readAll(exports.readText({ caller: callerOf(tenantId), pages: source.pagesOf(name, 2), toBody }))
    const all = ['a1', 'a2', 'a3'].map((name) => start('ten_a', name))
    all.push(start('ten_b', 'b1'))
    await expect.poll(() => source.reading).toEqual(['a1', 'b1'])
    source.open()
    expect((await Promise.all(all)).map(linesOf)).toEqual(
      ['a1', 'a2', 'a3', 'b1'].map((name) => [`${name} 0`, `${name} 1`]),
    )
    expect(source.read.filter((name) => name.startsWith('a')).slice(0, 3)).toEqual(['a1', 'a2', 'a3'])
  })

  it('A2: one that nobody reads has read one page, and keeps no other of its tenant waiting', async () => {
    const exports = createExports({ isAlone: () => false })
    const source = createSource()
    source.open()
    const deaf = exports.readText({ caller: callerOf('ten_a'), pages: source.pagesOf('deaf', 9), toBody })
    await deaf.next()
    const other = exports.readText({ caller: callerOf('ten_a'), pages: source.pagesOf('other', 3), toBody })
    expect(linesOf(await readAll(other))).toEqual(['other 0', 'other 1', 'other 2'])
    expect(source.read.filter((name) => name === 'deaf')).toHaveLength(1)
    await deaf.return(undefined)
    expect(source.ended).toEqual(['other', 'deaf'])
  })

  it('who leaves while it waits for its turn takes none', async () => {
    const exports = createExports({ isAlone: () => false })
    const source = createSource()
    const left = new AbortController()
    const first = readAll(exports.readText({ caller: callerOf('ten_a'), pages: source.pagesOf('first', 1), toBody }))
    const waiting = readAll(
      exports.readText({ caller: callerOf('ten_a', left.signal), pages: source.pagesOf('left', 1), toBody }),
    )
    left.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    source.open()
    expect(linesOf(await first)).toEqual(['first 0'])
    expect(source.read).toEqual(['first'])
  })

  it('a page whose reading fails gives its turn back', async () => {
    const exports = createExports({ isAlone: () => false })
    async function* failing(): AsyncGenerator<readonly string[]> {
      yield await Promise.reject(new Error('away'))
    }
    await expect(readAll(exports.readText({ caller: callerOf('ten_a'), pages: failing(), toBody }))).rejects.toThrow(
      'away',
    )
    const source = createSource()
    source.open()
    const next = exports.readText({ caller: callerOf('ten_a'), pages: source.pagesOf('next', 1), toBody })
    expect(linesOf(await readAll(next))).toEqual(['next 0'])
  })

  it('long pages leave in pieces of whole lines', async () => {
    const exports = createExports({ isAlone: () => false })
    const names = Array.from({ length: 50 }, (_, at) => `${at} ${'x'.repeat(10_000)}`)
    async function* pages(): AsyncGenerator<readonly string[]> {
      yield names
    }
    const pieces: string[] = []
    for await (const piece of exports.readText({ caller: callerOf('ten_a'), pages: pages(), toBody }))
      pieces.push(piece)
    expect(pieces.every((piece) => piece.endsWith('\n') && piece.length < 80_000)).toBe(true)
    expect(pieces.flatMap(linesOf)).toEqual(names)
  })
})
