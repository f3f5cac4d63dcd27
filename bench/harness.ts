/** The service over an embedded PostgreSQL and the exact index, with an embedder that costs next to nothing. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { createApp } from '../src/app.ts'
import { composeModules } from '../src/compose.ts'
import { startEmbeddedPostgres } from '../src/drivers/database/embedded-postgres.ts'
import { migrate } from '../src/drivers/database/migrate.ts'
import { createPostgres } from '../src/drivers/database/postgres.ts'
import { createEstimatingTokenizer } from '../src/drivers/tokenizer/estimating-tokenizer.ts'
import { createExactIndex } from '../src/drivers/vector-index/exact-index.ts'
import { createMetrics } from '../src/http/metrics.ts'
import { createSpaceReader } from '../src/modules/memory/space-reader.ts'
import { createKeyService } from '../src/modules/tenant/key.service.ts'
import { createTenantService } from '../src/modules/tenant/tenant.service.ts'
import type { Embedder } from '../src/ports/embedder.ts'
import { systemClock } from '../src/shared/clock.ts'
import { createId } from '../src/shared/ids.ts'

const dimensions = 512

/** A few slots of the vector follow from the text's characters: real enough for an index, and fast. */
const vectorOf = (text: string): Float32Array => {
  const vector = new Float32Array(dimensions)
  for (let at = 0; at < text.length; at += 1) {
    const slot = (text.charCodeAt(at) * 31 + at * 7) % dimensions
    vector[slot] = (vector[slot] ?? 0) + 1
  }
  const length = Math.hypot(...vector)
  return length === 0 ? vector : vector.map((value) => value / length)
}

const fastEmbedder: Embedder = {
  model: 'bench',
  dimensions,
  thresholds: { filter: 0.5, duplicate: 0.999 },
  embed: async (texts) => texts.map(vectorOf),
  checkHealth: async () => ({ ready: true, detail: 'ok' }),
  close: async () => {},
}

export const startBenchService = async () => {
  const logger = pino({ level: 'silent' })
  const dataDir = await mkdtemp(join(tmpdir(), 'agemem-bench-'))
  const postgres = await startEmbeddedPostgres({ dataDir, logger })
  await migrate({ ownerUrl: postgres.url, appUrl: postgres.url, connectTimeoutMs: 5_000, logger })
  const database = createPostgres({
    url: postgres.url,
    poolMax: 10,
    connectTimeoutMs: 5_000,
    statementTimeoutMs: 60_000,
    logger,
  })
  const vectorIndex = createExactIndex({
    dimensions,
    readSpaceChanges: createSpaceReader({ database, model: fastEmbedder.model }),
    maxBytes: 512 * 1024 * 1024,
    idleMs: 3_600_000,
    readTimeoutMs: 60_000,
    clock: systemClock,
  })
  const modules = composeModules(
    {
      database,
      vectorIndex,
      fallbackIndex: null,
      embedder: fastEmbedder,
      tokenizer: createEstimatingTokenizer(),
      quota: { reserve: async () => {} },
      clock: systemClock,
      createId,
      logger,
      onToolCall: () => {},
    },
    {
      budgetTokens: 100_000,
      topK: 3,
      filterThreshold: 0.9,
      duplicateThreshold: null,
      idempotencyTtlSeconds: 3_600,
      embedTimeoutMs: 30_000,
      indexTimeoutMs: 60_000,
      indexPollMs: 500,
      indexRestMs: 50,
      maintenanceIntervalMs: 3_600_000,
    },
  )
  const keys = createKeyService({
    database,
    idempotency: modules.idempotency,
    clock: systemClock,
    createId,
    cacheMs: 1_000,
  })
  const tenants = createTenantService({
    database,
    idempotency: modules.idempotency,
    createId,
    logger,
    eraseAgents: modules.agents.eraseAll,
    onChange: keys.forgetVerified,
  })
  const { tenantKey } = await tenants.ensureFirst({ isOperatorKeyGiven: false })
  const { app } = await createApp({
    modules,
    keys,
    tenants,
    logger,
    metrics: createMetrics(),
    tokenCountSource: 'estimate',
    readOperatorKeyHash: async () => null,
    metricsKey: null,
    healthParts: [],
    requestsInFlightMax: 1_000,
    bodyBytesInFlightMax: 1_000_000_000,
    requestTimeoutMs: 60_000,
    streamTimeoutMs: 600_000,
    defaultRatePerSecond: 0,
    authFailuresPerMinute: 1_000,
    bodyLimitBytes: 4_194_304,
    trustProxy: '',
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  modules.indexer.start()
  return {
    url,
    key: tenantKey ?? '',
    databaseUrl: postgres.url,
    modules,
    close: async () => {
      await app.close()
      await modules.indexer.stop()
      await vectorIndex.close()
      await database.close()
      await postgres.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

export type BenchService = Awaited<ReturnType<typeof startBenchService>>
