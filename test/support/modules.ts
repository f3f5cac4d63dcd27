/** The modules over a real database and either index, with an embedder that needs no model. */
import { setMaxListeners } from 'node:events'
import pino from 'pino'
import { composeModules, type Modules } from '../../src/compose.ts'
import { createEstimatingTokenizer } from '../../src/drivers/tokenizer/estimating-tokenizer.ts'
import { createExactIndex } from '../../src/drivers/vector-index/exact-index.ts'
import type { Settings } from '../../src/module-settings.ts'
import { createSpaceReader } from '../../src/modules/indexing/space-reader.ts'
import type { Database } from '../../src/ports/database.ts'
import type { LanguageModel } from '../../src/ports/language-model.ts'
import type { VectorIndex } from '../../src/ports/vector-index.ts'
import { type Caller, tenantScopes } from '../../src/shared/caller.ts'
import type { Clock } from '../../src/shared/clock.ts'
import { createId } from '../../src/shared/ids.ts'
import { createTestDatabase } from './database.ts'
import { createFakeEmbedder, type FakeEmbedder } from './fake-embedder.ts'
import { connect, insertTenant } from './postgres.ts'

export type TestClock = Clock & {
  advance(ms: number): void
  /** As an operator or NTP does it: durations know nothing of it. */
  setBack(ms: number): void
}

export const createTestClock = (): TestClock => {
  let passedMs = 0
  let setBackMs = 0
  return {
    nowMs: () => Date.now() + passedMs - setBackMs,
    monotonicMs: () => performance.now() + passedMs,
    advance: (ms) => {
      passedMs += ms
    },
    setBack: (ms) => {
      setBackMs += ms
    },
  }
}

export type TestModules = Modules & {
  readonly url: string
  readonly database: Database
  readonly vectorIndex: VectorIndex
  readonly embedder: FakeEmbedder
  readonly clock: TestClock
  /** A caller of a tenant of its own. */
  makeCaller(overrides?: Partial<Caller>): Promise<Caller>
  close(): Promise<void>
}

export const testSettings: Settings = {
  budgetTokens: 8_192,
  contextBytesMax: 8 * 1024 * 1024,
  topK: 3,
  filterThreshold: null,
  duplicateThreshold: null,
  idempotencyTtlHours: 1,
  keyCacheMs: 1_000,
  statementTimeoutMs: 10_000,
  embedTimeoutMs: 5_000,
  indexTimeoutMs: 5_000,
  indexPollMs: 50,
  indexKeepMs: 50,
  indexRestMs: 0,
  indexPostponeMs: 100,
  indexVectorLoops: 4,
  maintenanceIntervalMs: 60_000,
  summaryTimeoutMs: 5_000,
  policyResumeMs: 3_000,
}

export type ModuleOverrides = {
  /** Qdrant there, with the exact index to fall back on; without it, the exact index alone. */
  readonly qdrantUrl?: string
  /** The database of other modules, as a second process has it; without it, one of its own. */
  readonly databaseUrl?: string
  readonly embedder?: FakeEmbedder
  readonly settings?: Partial<Settings>
  readonly wrapIndex?: (index: VectorIndex) => VectorIndex
  readonly wrapDatabase?: (database: Database) => Database
  readonly poolMax?: number
  readonly model?: LanguageModel | null
}

const indexTimeoutMs = 5_000

const openIndexes = async (
  qdrantUrl: string | undefined,
  { database, embedder, clock }: { database: Database; embedder: FakeEmbedder; clock: TestClock },
) => {
  const { model, dimensions } = embedder
  const exact = createExactIndex({
    dimensions,
    readSpaceChanges: createSpaceReader({ database, model }),
    maxBytes: 64 * 1024 * 1024,
    idleMs: 60_000,
    readTimeoutMs: 5_000,
    clock,
  })
  if (qdrantUrl === undefined) return { exact, vectorIndex: exact, fallbackIndex: null }
  const { createQdrantIndex } = await import('../../src/drivers/vector-index/qdrant-index.ts')
  const vectorIndex = createQdrantIndex({
    ...{ url: qdrantUrl, apiKey: null, collectionPrefix: 'agemem', model, dimensions, clock },
    ...{ timeoutMs: indexTimeoutMs, writeTimeoutMs: indexTimeoutMs, logger: pino({ level: 'silent' }) },
  })
  return { exact, vectorIndex, fallbackIndex: exact }
}

export const createTestModules = async ({
  wrapIndex = (index) => index,
  wrapDatabase = (database) => database,
  poolMax = 5,
  qdrantUrl,
  databaseUrl,
  embedder = createFakeEmbedder(),
  settings = {},
  model = null,
}: ModuleOverrides = {}): Promise<TestModules> => {
  const test = databaseUrl === undefined ? await createTestDatabase() : { url: databaseUrl, drop: async () => {} }
  const database = wrapDatabase(connect(test.url, { poolMax }))
  const clock = createTestClock()
  const { exact, fallbackIndex, ...index } = await openIndexes(qdrantUrl, { database, embedder, clock })
  const vectorIndex = wrapIndex(index.vectorIndex)
  const modules = composeModules(
    {
      database,
      vectorIndex,
      fallbackIndex,
      embedder,
      tokenizer: createEstimatingTokenizer(),
      model,
      clock,
      createId,
      logger: pino({ level: 'silent' }),
      onToolCall: () => {},
    },
    { ...testSettings, ...settings },
  )
  await modules.indexKeeper.prepare()
  return {
    ...modules,
    url: test.url,
    database,
    vectorIndex,
    embedder,
    clock,
    makeCaller: async (overrides = {}) => {
      const tenantId = createId('ten')
      await insertTenant(database, tenantId)
      const { signal } = new AbortController()
      // One caller stands for many requests at once, each of which waits on a signal of its own elsewhere.
      setMaxListeners(0, signal)
      return {
        tenantId,
        actor: createId('key'),
        scopes: tenantScopes,
        agentIds: null,
        requestId: createId('req'),
        signal,
        idempotency: null,
        ...overrides,
      }
    },
    close: async () => {
      await modules.indexKeeper.stop()
      await modules.indexer.stop()
      await modules.modelTokens.flush()
      await exact.close()
      await database.close()
      await test.drop()
    },
  }
}
