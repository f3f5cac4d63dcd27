/** From the answer to an ADD until a search finds the memory, and until the index holds its words and its vector. */
import pino from 'pino'
import { createBundledEmbedder } from '../../src/drivers/embedder/bundled-embedder.ts'
import { ms } from '../figures.ts'
import type { Bench } from '../service.ts'
import type { Subject } from '../subject.ts'
import { textAt } from '../texts.ts'
import { percentileOf, timed } from '../timing.ts'

const writers = 10
const writesEach = 30
const giveUpMs = 60_000
const askEveryMs = 2
const targetMs = 1_000

type Written = { readonly memory_id: string; readonly index_state: string }
type Found = { readonly results: readonly { readonly memory: { readonly memory_id: string } }[] }

const waitUntil = async (isTrue: () => Promise<boolean>): Promise<void> => {
  for (const endMs = Date.now() + giveUpMs; Date.now() < endMs; ) {
    if (await isTrue()) return
    await new Promise((resolve) => setTimeout(resolve, askEveryMs))
  }
  throw new Error('a memory that was written did not become searchable')
}

const writeOne = async ({ client }: Bench, agent: string, content: string) => {
  const { memory_id: id } = await client.post<Written>(`/v1/agents/${agent}/memories`, { content })
  const isFound = async () => {
    const { results } = await client.post<Found>(`/v1/agents/${agent}/memories/search`, { query: content, top_k: 3 })
    return results.some(({ memory }) => memory.memory_id === id)
  }
  const isIndexed = async () =>
    (await client.get<Written>(`/v1/agents/${agent}/memories/${id}`)).index_state === 'indexed'
  const [foundMs, indexedMs] = await Promise.all([timed(() => waitUntil(isFound)), timed(() => waitUntil(isIndexed))])
  return { foundMs, indexedMs }
}

/** How many texts a second the embedder that comes with the service does, when it does nothing else. */
const bundledRate = async (): Promise<number> => {
  const embedder = createBundledEmbedder({ logger: pino({ level: 'silent' }) })
  const texts = Array.from({ length: 64 }, (_, at) => textAt(at))
  await embedder.embed(texts.slice(0, 1), 'passage')
  const tookMs = await timed(() => embedder.embed(texts, 'passage'))
  await embedder.close()
  return (texts.length * 1_000) / tookMs
}

export const benchSearchable: Subject = async (bench, { report }) => {
  const found: number[] = []
  const indexed: number[] = []
  const writer = async (_: unknown, writer: number) => {
    for (let at = 0; at < writesEach; at += 1) {
      const content = textAt(500_000 + writer * writesEach + at)
      const { foundMs, indexedMs } = await writeOne(bench, `fresh-${writer % 5}`, content)
      found.push(foundMs)
      indexed.push(indexedMs)
    }
  }
  await Promise.all(Array.from({ length: writers }, writer))
  for (const [what, times] of [
    ['a search finds it', found],
    ['its words and vector are indexed', indexed],
  ] as const) {
    const p99 = percentileOf(times, 0.99)
    report.add({
      what: `from an ADD's answer until ${what}, ${writers} clients`,
      figure: `p50 ${ms(percentileOf(times, 0.5))}, p99 ${ms(p99)}`,
      target: { text: `p99 ${targetMs} ms`, isMet: p99 <= targetMs },
    })
  }
  const perSecond = await bundledRate()
  report.add({
    what: 'bundled embedder alone',
    figure: `${perSecond.toFixed(0)} texts/s: a burst has its vectors after ${ms(1_000 / perSecond)} a memory, its words as above`,
  })
}
