/**
 * Runs against a stand-in, and with QDRANT_URL (and QDRANT_API_KEY, if the server wants one) set against that server
 * too. It needs nothing there and leaves nothing behind.
 */
import { randomBytes } from 'node:crypto'
import { QdrantClient } from '@qdrant/js-client-rest'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createExactIndex } from '../../src/drivers/vector-index/exact-index.ts'
import { createQdrantIndex } from '../../src/drivers/vector-index/qdrant-index.ts'
import type { VectorIndex } from '../../src/ports/vector-index.ts'
import { systemClock } from '../../src/shared/clock.ts'
import { startQdrantStandIn } from '../support/qdrant-stand-in.ts'
import {
  dimensions,
  makePoint,
  makeQuery,
  makeRandomPoints,
  makeRandomQueries,
  memoryIdAt,
  sparseOf,
} from './vector-index.data.ts'
import { createSpaceRecorder } from './vector-index.recorder.ts'
import { describeVectorIndexContract, expectSameHits, type VectorIndexUnderTest } from './vector-index.suite.ts'

type Server = { readonly url: string; readonly apiKey: string | null; readonly stop: () => Promise<void> }

const removeCollections = async ({ url, apiKey }: Server, prefix: string): Promise<void> => {
  const headers = apiKey === null ? {} : { 'api-key': apiKey }
  const client = new QdrantClient({ url, headers, checkCompatibility: false })
  for (const { name } of (await client.getCollections()).collections)
    if (name.startsWith(prefix)) await client.deleteCollection(name)
}

type QdrantUnderTest = VectorIndexUnderTest & { readonly prefix: string; connect(model?: string): VectorIndex }

const makeOn = async (start: () => Promise<Server>): Promise<QdrantUnderTest> => {
  const server = await start()
  const collectionPrefix = `agemem-test-${randomBytes(6).toString('hex')}`
  const connect = (model = 'Test/Model 1'): VectorIndex =>
    createQdrantIndex({
      ...{ url: server.url, apiKey: server.apiKey, collectionPrefix, model, dimensions },
      ...{ timeoutMs: 5_000, writeTimeoutMs: 30_000, clock: systemClock, logger: pino({ level: 'silent' }) },
    })
  const cleanUp = async () => {
    await removeCollections(server, collectionPrefix)
    await server.stop()
  }
  return { index: connect(), connect, cleanUp, prefix: collectionPrefix }
}

const createExact = () => {
  const { readSpaceChanges, record } = createSpaceRecorder()
  const limits = { maxBytes: 50_000_000, idleMs: 60_000, readTimeoutMs: 5_000 }
  return record(createExactIndex({ dimensions, readSpaceChanges, clock: systemClock, ...limits }))
}

const describeAgreement = (name: string, make: () => Promise<VectorIndexUnderTest>): void => {
  describe(`exact and ${name}`, () => {
    it('give the same hits with the same scores within 1e-5', async () => {
      const { index, cleanUp } = await make()
      const exact = createExact()
      try {
        await index.ensureReady()
        for (const one of [index, exact]) await one.upsert('ten_1', 'spc_1', makeRandomPoints(500, 11))
        for (const query of makeRandomQueries(40, 12)) {
          const [answer, expected] = [
            await index.search('ten_1', 'spc_1', query),
            await exact.search('ten_1', 'spc_1', query),
          ]
          expectSameHits(answer.dense, expected.dense)
          expectSameHits(answer.sparse, expected.sparse)
        }
      } finally {
        await exact.close()
        await cleanUp()
      }
    })
  })
}

const space = ['ten_1', 'spc_1'] as const

const describeRebuilding = (name: string, make: () => Promise<QdrantUnderTest>): void => {
  describe(`${name} is rebuilt beside what serves`, () => {
    let underTest: QdrantUnderTest
    beforeEach(async () => {
      underTest = await make()
      await underTest.index.ensureReady()
      await underTest.index.upsert(...space, [makePoint(1), makePoint(2)])
    })
    afterEach(() => underTest.cleanUp())

    const rebuildingOf = ({ rebuilding }: VectorIndex) => {
      if (rebuilding === undefined) throw new Error('it cannot be rebuilt')
      return rebuilding
    }
    const searched = async (index: VectorIndex) => {
      const { dense, sparse } = await index.search(...space, makeQuery())
      return [dense.length, sparse.length]
    }

    it('what is under construction is seen by nobody until it serves; then it alone is, by every process', async () => {
      const { index, prefix, connect } = underTest
      const rebuilding = rebuildingOf(connect())
      await rebuilding.create(`${prefix}-2`)
      await rebuilding.create(`${prefix}-2`)
      await rebuilding.into(`${prefix}-2`).upsert(...space, [makePoint(3), makePoint(4), makePoint(5)])
      await rebuilding.into(`${prefix}-2`).remove(...space, [memoryIdAt(5)])
      await rebuilding.into(`${prefix}-2`).upsert(...space, [makePoint(3, { revision: 0, sparse: sparseOf({}) })])
      expect((await index.search(...space, makeQuery())).dense[0]?.memoryId).toBe(memoryIdAt(1))
      await rebuilding.serve(`${prefix}-2`)
      expect(await rebuilding.findServing()).toEqual({ name: `${prefix}-2`, fits: true })
      expect((await index.search(...space, makeQuery())).sparse.map(({ memoryId }) => memoryId)).toEqual(
        [3, 4].map(memoryIdAt),
      )
      await rebuilding.drop(`${prefix}-1`)
      await rebuilding.drop(`${prefix}-1`)
      expect(await searched(index)).toEqual([2, 2])
    })

    it("another embedder's vectors are never compared with, its words are, and words can be written to it", async () => {
      const { index, prefix, connect } = underTest
      const other = connect('Test/Model 2')
      await expect(other.search(...space, makeQuery())).rejects.toMatchObject({ retryable: true })
      expect((await other.search(...space, makeQuery({ dense: null }))).sparse).toHaveLength(2)
      await other.upsert(...space, [makePoint(2), makePoint(3)])
      expect(await searched(index)).toEqual([2, 3])
      const rebuilding = rebuildingOf(other)
      await rebuilding.create(`${prefix}-2`)
      await rebuilding.serve(`${prefix}-2`)
      await expect(index.search(...space, makeQuery())).rejects.toMatchObject({ retryable: true })
      expect(await searched(other)).toEqual([0, 0])
      await expect(index.search(...space, makeQuery())).rejects.toMatchObject({ retryable: true })
    })

    it('an index that somebody removed is unavailable and not empty', async () => {
      const { index, prefix, connect } = underTest
      await rebuildingOf(connect()).drop(`${prefix}-1`)
      const away = { code: 'vector_index.unavailable', retryable: true }
      await expect(index.search(...space, makeQuery())).rejects.toMatchObject(away)
      await expect(index.upsert(...space, [makePoint(9)])).rejects.toMatchObject(away)
      await expect(index.list(...space, { afterMemoryId: null, limit: 1 })).rejects.toMatchObject(away)
      expect(await rebuildingOf(index).findServing()).toBeNull()
      expect(await index.removeSpace(...space)).toBe(0)
    })

    it('an erased space is gone from every collection, and the one that serves is counted', async () => {
      const { index, prefix, connect } = underTest
      const rebuilding = rebuildingOf(connect())
      await rebuilding.create(`${prefix}-2`)
      await rebuilding.into(`${prefix}-2`).upsert(...space, [makePoint(3)])
      expect(await index.removeSpace(...space)).toBe(2)
      await rebuilding.serve(`${prefix}-2`)
      expect(await searched(index)).toEqual([0, 0])
    })
  })
}

const describeOn = (name: string, start: () => Promise<Server>): void => {
  describeVectorIndexContract(name, () => makeOn(start))
  describeAgreement(name, () => makeOn(start))
  describeRebuilding(name, () => makeOn(start))
}

describeOn('qdrant on a stand-in', async () => {
  const { url, stop } = await startQdrantStandIn()
  return { url, apiKey: null, stop }
})

const serverUrl = process.env.QDRANT_URL
if (serverUrl !== undefined && serverUrl !== '')
  describeOn('qdrant on a server', async () => ({
    ...{ url: serverUrl, apiKey: process.env.QDRANT_API_KEY || null, stop: async () => {} },
  }))
