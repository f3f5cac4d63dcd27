/** The modules over a real database and the exact index, with an embedder that needs no model. */
import pino from 'pino'
import { composeModules, type Modules, type Settings } from '../../src/compose.ts'
import { createEstimatingTokenizer } from '../../src/drivers/tokenizer/estimating-tokenizer.ts'
import { createExactIndex } from '../../src/drivers/vector-index/exact-index.ts'
import { createSpaceReader } from '../../src/modules/memory/space-reader.ts'
import type { Database } from '../../src/ports/database.ts'
import type { LanguageModel } from '../../src/ports/language-model.ts'
import type { VectorIndex } from '../../src/ports/vector-index.ts'
import { type Caller, tenantScopes } from '../../src/shared/caller.ts'
import { createId } from '../../src/shared/ids.ts'
import { createTestDatabase } from './database.ts'
import { createFakeEmbedder, type FakeEmbedder } from './fake-embedder.ts'
import { connect, insertTenant } from './postgres.ts'

export type TestClock = { nowMs(): number; advance(ms: number): void }

export const createTestClock = (): TestClock => {
  let offset = 0
  return {
    nowMs: () => Date.now() + offset,
    advance: (ms) => {
      offset += ms
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
  topK: 3,
  filterThreshold: null,
  duplicateThreshold: null,
  idempotencyTtlHours: 1,
  keyCacheMs: 1_000,
  embedTimeoutMs: 5_000,
  indexTimeoutMs: 5_000,
  indexPollMs: 50,
  indexRestMs: 0,
  maintenanceIntervalMs: 60_000,
  summaryTimeoutMs: 5_000,
  policyResumeMs: 200,
}

export type ModuleOverrides = {
  readonly wrapIndex?: (index: VectorIndex) => VectorIndex
  readonly model?: LanguageModel | null
}

export const createTestModules = async ({
  wrapIndex = (index) => index,
  model = null,
}: ModuleOverrides = {}): Promise<TestModules> => {
  const test = await createTestDatabase()
  const database = connect(test.url)
  const embedder = createFakeEmbedder()
  const clock = createTestClock()
  const exact = createExactIndex({
    dimensions: embedder.dimensions,
    readSpaceChanges: createSpaceReader({ database, model: embedder.model }),
    maxBytes: 64 * 1024 * 1024,
    idleMs: 60_000,
    readTimeoutMs: 5_000,
    clock,
  })
  const vectorIndex = wrapIndex(exact)
  const modules = composeModules(
    {
      database,
      vectorIndex,
      fallbackIndex: null,
      embedder,
      tokenizer: createEstimatingTokenizer(),
      model,
      clock,
      createId,
      logger: pino({ level: 'silent' }),
      onToolCall: () => {},
    },
    testSettings,
  )
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
      return {
        tenantId,
        actor: createId('key'),
        scopes: tenantScopes,
        agentIds: null,
        requestId: createId('req'),
        signal: new AbortController().signal,
        idempotency: null,
        ...overrides,
      }
    },
    close: async () => {
      await modules.indexer.stop()
      await exact.close()
      await database.close()
      await test.drop()
    },
  }
}
