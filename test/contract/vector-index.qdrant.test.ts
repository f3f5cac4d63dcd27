/**
 * Runs against a stand-in, and with QDRANT_URL (and QDRANT_API_KEY, if the server wants one) set against that server
 * too. It needs nothing there and leaves nothing behind.
 */
import { randomBytes } from 'node:crypto'
import { QdrantClient } from '@qdrant/js-client-rest'
import pino from 'pino'
import { describe, it } from 'vitest'
import { createExactIndex } from '../../src/drivers/vector-index/exact-index.ts'
import { createQdrantIndex } from '../../src/drivers/vector-index/qdrant-index.ts'
import type { VectorIndex } from '../../src/ports/vector-index.ts'
import { systemClock } from '../../src/shared/clock.ts'
import { startQdrantStandIn } from '../support/qdrant-stand-in.ts'
import { dimensions, makeRandomPoints, makeRandomQueries } from './vector-index.data.ts'
import { createSpaceRecorder } from './vector-index.recorder.ts'
import { describeVectorIndexContract, expectSameHits, type VectorIndexUnderTest } from './vector-index.suite.ts'

type Server = { readonly url: string; readonly apiKey: string | null; readonly stop: () => Promise<void> }

const removeCollections = async ({ url, apiKey }: Server, prefix: string): Promise<void> => {
  const headers = apiKey === null ? {} : { 'api-key': apiKey }
  const client = new QdrantClient({ url, headers, checkCompatibility: false })
  for (const { name } of (await client.getCollections()).collections)
    if (name.startsWith(prefix)) await client.deleteCollection(name)
}

const makeOn = async (start: () => Promise<Server>): Promise<VectorIndexUnderTest> => {
  const server = await start()
  const collectionPrefix = `agemem-test-${randomBytes(6).toString('hex')}`
  const connect = (): VectorIndex =>
    createQdrantIndex({
      ...{ url: server.url, apiKey: server.apiKey, collectionPrefix, model: 'Test/Model 1', dimensions },
      ...{ timeoutMs: 5_000, writeTimeoutMs: 30_000, clock: systemClock, logger: pino({ level: 'silent' }) },
    })
  const cleanUp = async () => {
    await removeCollections(server, collectionPrefix)
    await server.stop()
  }
  return { index: connect(), connect, cleanUp }
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

const describeOn = (name: string, start: () => Promise<Server>): void => {
  describeVectorIndexContract(name, () => makeOn(start))
  describeAgreement(name, () => makeOn(start))
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
