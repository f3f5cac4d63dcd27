import { readdirSync, readFileSync } from 'node:fs'
import pino from 'pino'
import { afterAll, describe, expect, it } from 'vitest'
import { createBundledEmbedder } from '../../src/drivers/embedder/bundled-embedder.ts'
import { describeEmbedderContract } from './embedder.suite.ts'

const logger = pino({ level: 'silent' })

describeEmbedderContract('the bundled embedder', async () => createBundledEmbedder({ logger }))

describe('the bundled embedder', () => {
  const embedder = createBundledEmbedder({ logger })
  afterAll(() => embedder.close())

  it('T1: a vector is the same to the bit whatever it is batched with', async () => {
    const text = 'My landlord wants the deposit by Friday.'
    const [alone] = await embedder.embed([text], 'query')
    const others = ['x', 'Other people ask about other things at the same time, in many more words than this one.']
    const [first, second] = await Promise.all([
      embedder.embed([...others, text, text.toUpperCase()], 'passage'),
      embedder.embed([text, 'word '.repeat(500)], 'passage'),
    ])
    expect(first?.[2]).toEqual(alone)
    expect(second?.[0]).toEqual(alone)
  })

  it('what comes after the bound of a text changes nothing', async () => {
    const [cut, longer] = await embedder.embed(['lorem ipsum '.repeat(170), 'lorem ipsum '.repeat(20_000)], 'passage')
    expect(longer).toEqual(cut)
  })

  it.each(['\uFDFA', '㌀', '㈱ ', '…'])(
    'A2: texts of %s, which NFKC makes longer, take no longer than others',
    async (letter) => {
      const [grown, plain] = await embedder.embed(
        [letter.repeat(32_768), letter.repeat(2_048).normalize('NFKC')],
        'passage',
      )
      expect(grown).toEqual(plain)
    },
    5_000,
  )

  it('a query goes before the passages that wait', async () => {
    const order: string[] = []
    const texts = Array.from({ length: 120 }, (_, index) => `Passage ${index} of a long import that takes its time.`)
    const passages = embedder.embed(texts, 'passage').then(() => order.push('passages'))
    const query = embedder.embed(['what was the deposit?'], 'query').then(() => order.push('query'))
    await Promise.all([passages, query])
    expect(order).toEqual(['query', 'passages'])
  })

  it('A2: the thread of the model gives way to the rest of the process, where the system has priorities of threads', async () => {
    await embedder.embed(['now the thread runs'], 'query')
    const threads = process.platform === 'linux' ? readdirSync('/proc/self/task') : []
    /** The nineteenth field of `stat`, counted behind the name, which may hold blanks (proc_pid_stat(5)). */
    const niceOf = (thread: string): number =>
      Number(readFileSync(`/proc/self/task/${thread}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[16])
    const isBehind = threads.some((thread) => niceOf(thread) > niceOf(String(process.pid)))
    expect(isBehind).toBe(process.platform === 'linux')
  })
})
