/** The exact index alone: searches by vector, by words and by both, beside a plain scan of the floats. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { searchExactly } from '../../src/drivers/vector-index/exact-search.ts'
import { createExactSpace, type ExactSpace } from '../../src/drivers/vector-index/exact-space.ts'
import { queryVectorOf, sparseVectorOf, termIdsOf } from '../../src/modules/indexing/lexical.ts'
import { hybridHitsPerKind } from '../../src/modules/memory/ranking.ts'
import type { Embedder } from '../../src/ports/embedder.ts'
import { createFastEmbedder } from '../fast-embedder.ts'
import { megabytes, ms } from '../figures.ts'
import type { Subject } from '../subject.ts'
import { textAt } from '../texts.ts'
import { interleave } from '../timing.ts'

const rounds = 60
const fillAtOnce = 500

const fillSpace = async (space: ExactSpace, embedder: Embedder, count: number): Promise<void> => {
  for (let start = 0; start < count; start += fillAtOnce) {
    const texts = Array.from({ length: Math.min(fillAtOnce, count - start) }, (_, offset) => textAt(start + offset))
    for (const [offset, dense] of (await embedder.embed(texts, 'passage')).entries())
      space.upsert({
        memoryId: `mem_${String(start + offset).padStart(32, '0')}`,
        revision: 1,
        dense,
        sparse: sparseVectorOf(texts[offset] ?? ''),
        ...{ facets: [], source: null, expiresAtMs: null },
      })
  }
}

/** Every product in a loop: what JavaScript takes without codes, filter or order. */
const scanFloats = ({ matrix }: ExactSpace, query: Float32Array): number => {
  let best = Number.NEGATIVE_INFINITY
  for (const block of matrix.floats)
    for (let start = 0; start < block.length; start += query.length) {
      let [one, other] = [0, 0]
      for (let at = 0; at < query.length; at += 2) {
        one += (block[start + at] ?? 0) * (query[at] ?? 0)
        other += (block[start + at + 1] ?? 0) * (query[at + 1] ?? 0)
      }
      best = Math.max(best, one + other)
    }
  return best
}

export const benchIndex: Subject = async (_bench, { report, memoriesMax }) => {
  const embedder = createFastEmbedder()
  for (const count of [1_000, 10_000, 100_000].filter((one) => one <= memoriesMax)) {
    const space = createExactSpace(embedder.dimensions)
    await fillSpace(space, embedder, count)
    const vectors = await embedder.embed(
      Array.from({ length: rounds + 1 }, (_, at) => textAt(7 * at)),
      'query',
    )
    const statistics = { documentCount: count, documentFrequencyOf: () => 10 }
    const denseOf = (round: number) => vectors[round] ?? new Float32Array(embedder.dimensions)
    const sparseOf = (round: number) => queryVectorOf(termIdsOf(textAt(7 * round)), statistics)
    const search = (dense: Float32Array | null, sparse: ReturnType<typeof sparseOf> | null) =>
      searchExactly(space, { dense, sparse, filter: { facets: [], nowMs: 0 }, limit: hybridHitsPerKind })
    const floats = await interleave(rounds, { scan: async (round) => scanFloats(space, denseOf(round)) })
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    const { vector, words, both } = await interleave(rounds, {
      vector: (round) => search(denseOf(round), null),
      words: (round) => search(null, sparseOf(round)),
      both: (round) => search(denseOf(round), sparseOf(round)),
    })
    delay.disable()
    report.add({
      what: `exact index alone, ${count.toLocaleString('en')} memories`,
      figure: `vectors p50 ${ms(vector.p50)}, words ${ms(words.p50)}, both ${ms(both.p50)}; ${megabytes(space.bytes())}; longest pause ${ms(delay.max / 1e6)}`,
      floor: `plain loop over the floats p50 ${ms(floats.scan.p50)}`,
      ratio: vector.p50 / floats.scan.p50,
    })
  }
}
