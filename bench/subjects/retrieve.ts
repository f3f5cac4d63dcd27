/**
 * RETRIEVE beside its parts, each measured in turn with the same query: the bare route, the embedder, the statements that
 * a search needs, and the index alone, which is told that nothing is new to it.
 */
import { createExactIndex } from '../../src/drivers/vector-index/exact-index.ts'
import { queryVectorOf, termIdsOf } from '../../src/modules/indexing/lexical.ts'
import { readPublishedPage } from '../../src/modules/indexing/publication.repository.ts'
import { createSpaceReader } from '../../src/modules/indexing/space-reader.ts'
import { findMemories } from '../../src/modules/memory/memory.repository.ts'
import { hybridHitsPerKind } from '../../src/modules/memory/ranking.ts'
import { readSearchStart } from '../../src/modules/memory/search.repository.ts'
import type { Database } from '../../src/ports/database.ts'
import type { IndexQuery, VectorIndex } from '../../src/ports/vector-index.ts'
import { systemClock } from '../../src/shared/clock.ts'
import { type BareSql, openBareSql } from '../bare-sql.ts'
import { createFastEmbedder } from '../fast-embedder.ts'
import { latencies, ms } from '../figures.ts'
import type { Bench } from '../service.ts'
import type { Subject } from '../subject.ts'
import { textAt } from '../texts.ts'
import { interleave } from '../timing.ts'

const topK = 5
const queries = 50
const overheadMsMax = 6
/** As many as the service reads for `topK`. */
const readAtOnce = topK + 20

const embedder = createFastEmbedder()

/** The index in this process, filled from the database and then told that nothing is new. */
const openIndex = ({ tx }: BareSql): VectorIndex => {
  const database = { read: async (_tenantId: string, work: (tx: BareSql['tx']) => Promise<unknown>) => work(tx) }
  const read = createSpaceReader({ database: database as Database, model: embedder.model })
  let isFilled = false
  return createExactIndex({
    dimensions: embedder.dimensions,
    readSpaceChanges: async (request) => {
      if (isFilled && request.after !== null)
        return { points: [], removedMemoryIds: [], cursor: request.after, more: false, startOver: false }
      const page = await read(request)
      isFilled = page?.more === false
      return page
    },
    maxBytes: 2 ** 31,
    idleMs: 3_600_000,
    readTimeoutMs: 60_000,
    clock: systemClock,
  })
}

type Prepared = { readonly query: IndexQuery; readonly memoryIds: readonly string[] }

/** The pieces of a search as the service does them, and the search itself. */
const createPieces = async (bench: Bench, sql: BareSql, { agent, index }: { agent: string; index: VectorIndex }) => {
  const { tx } = sql
  const textOf = (round: number) => textAt(round % queries)
  const start = await readSearchStart(tx, { agentId: agent, termIds: [] })
  const spaceId = start?.agent.spaceId ?? ''
  const page = await readPublishedPage(tx, {
    ...{ spaceId, model: embedder.model, limit: 1, bytesMax: 1_048_576 },
    after: { published: 0, memoryId: '' },
  })
  const after = { published: page?.publication ?? 0, memoryId: '\u{10ffff}' }
  const prepared: Prepared[] = []
  for (let round = 0; round < queries; round += 1) {
    const [dense = null] = await embedder.embed([textOf(round)], 'query')
    const termIds = termIdsOf(textOf(round))
    const counts = await readSearchStart(tx, { agentId: agent, termIds })
    const sparse = queryVectorOf(termIds, {
      documentCount: counts?.agent.documentCount ?? 0,
      documentFrequencyOf: (termId) => counts?.frequencies.get(termId) ?? 0,
    })
    const query = { dense, sparse, filter: { facets: [], nowMs: Date.now() }, limit: hybridHitsPerKind }
    const answer = await index.search(tx.tenantId, spaceId, query)
    prepared.push({ query, memoryIds: answer.sparse.slice(0, readAtOnce).map(({ memoryId }) => memoryId) })
  }
  return {
    search: (round: number) =>
      bench.client.post(`/v1/agents/${agent}/memories/search`, { query: textOf(round), top_k: topK }),
    route: (round: number) => bench.floor.post('/', { query: textOf(round), top_k: topK }),
    embedder: (round: number) => embedder.embed([textOf(round)], 'query'),
    statements: async (round: number) => {
      const memoryIds = prepared[round % queries]?.memoryIds ?? []
      await readSearchStart(tx, { agentId: agent, termIds: termIdsOf(textOf(round)) })
      await readPublishedPage(tx, { spaceId, after, model: embedder.model, limit: 500, bytesMax: 1_048_576 })
      await findMemories(tx, { agentId: agent, memoryIds, now: new Date().toISOString() })
    },
    index: async (round: number) => {
      const query = prepared[round % queries]?.query
      if (query !== undefined) await index.search(tx.tenantId, spaceId, query)
    },
  }
}

const roundsPerSecond = 30

export const benchRetrieve: Subject = async (bench, { report, seconds, memoriesMax }) => {
  for (const count of [1_000, 10_000, 100_000].filter((one) => one <= memoriesMax)) {
    const agent = `search-${count}`
    await bench.ensureFilled(agent, count)
    const sql = await openBareSql(bench)
    const index = openIndex(sql)
    const pieces = await createPieces(bench, sql, { agent, index })
    await bench.readState()
    const { search, ...parts } = await interleave(seconds * roundsPerSecond, pieces)
    const { longestPauseMs } = await bench.readState()
    await index.close()
    await sql.close()
    const sumOf = (percentile: 'p50' | 'p95') => Object.values(parts).reduce((sum, part) => sum + part[percentile], 0)
    const overheadMs = search.p95 - sumOf('p95')
    report.add({
      what: `RETRIEVE at ${count.toLocaleString('en')} memories, one client`,
      figure: latencies(search),
      floor: Object.entries(parts)
        .map(([name, { p50, p95 }]) => `${name} ${ms(p50)} / ${ms(p95)}`)
        .join(', '),
      ratio: search.p50 / sumOf('p50'),
      target: {
        text: `p95 above its parts ${ms(overheadMs)}, at most ${overheadMsMax} ms`,
        isMet: overheadMs <= overheadMsMax,
      },
    })
    report.add({ what: `longest pause of the event loop, same run`, figure: ms(longestPauseMs) })
  }
}
