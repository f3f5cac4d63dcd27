/** Puts a running service together from its configuration: drivers, modules, app; and takes it apart again. */
import type { Logger } from 'pino'
import { type BuiltApp, createApp } from './app.ts'
import { composeModules } from './compose.ts'
import type { Config } from './config.ts'
import { createMetrics, type Metrics } from './http/metrics.ts'
import { readIndexLag, restartClocks, swapIndexSignature } from './modules/memory/system.repository.ts'
import { createKeyService } from './modules/tenant/key.service.ts'
import { hashOf } from './modules/tenant/key-secret.ts'
import { createQuotaGuard } from './modules/tenant/quota.ts'
import { createTenantService, type FirstTenant } from './modules/tenant/tenant.service.ts'
import { openDatabase, openEmbedder, openIndex, openTokenizer } from './open-drivers.ts'
import type { Database } from './ports/database.ts'
import type { Embedder } from './ports/embedder.ts'
import { systemClock } from './shared/clock.ts'
import { createId } from './shared/ids.ts'

export type Service = BuiltApp & {
  readonly first: FirstTenant
  /** Background work: the indexer and maintenance. */
  start(): void
  close(): Promise<void>
}

/** Writes that come within this time are indexed together; searches see them meanwhile all the same. */
const indexRestMs = 50

/** Times every call, by purpose and outcome. */
const measured = (embedder: Embedder, metrics: Metrics): Embedder => ({
  get model() {
    return embedder.model
  },
  get dimensions() {
    return embedder.dimensions
  },
  get thresholds() {
    return embedder.thresholds
  },
  embed: async (texts, purpose, options) => {
    const startedMs = performance.now()
    const end = (outcome: string) =>
      metrics.observeEmbedding({ purpose, outcome }, (performance.now() - startedMs) / 1000)
    try {
      const vectors = await embedder.embed(texts, purpose, options)
      end('ok')
      return vectors
    } catch (error) {
      end('error')
      throw error
    }
  },
  checkHealth: (options) => embedder.checkHealth(options),
  close: () => embedder.close(),
})

/** Another index or embedder than the clocks speak of holds nothing yet: everything is written to it anew. */
const followIndex = async (database: Database, signature: string, logger: Logger): Promise<void> => {
  const isOther = await database.transactAsSystem((tx) => swapIndexSignature(tx, signature))
  if (!isOther) return
  const agents = await database.transactAsSystem(restartClocks)
  if (agents > 0) logger.info({ agents, signature }, 'the index or embedder is another one; it is filled anew')
}

export const createService = async (config: Config, logger: Logger): Promise<Service> => {
  const metrics = createMetrics()
  const databasePart = await openDatabase(config, logger)
  const { database } = databasePart
  const embedder = measured(await openEmbedder(config, logger), metrics)
  const { vectorIndex, fallbackIndex } = await openIndex(config, { database, embedder, logger })
  await vectorIndex.ensureReady().catch((error: unknown) => {
    logger.warn({ err: error }, 'the vector index is not ready; searches go on without it')
  })
  await followIndex(database, `${vectorIndex.name} ${embedder.model} ${embedder.dimensions}`, logger)
  const tokenizer = await openTokenizer(config)
  const quota = createQuotaGuard({ database, clock: systemClock })
  const modules = composeModules(
    {
      database,
      vectorIndex,
      fallbackIndex,
      embedder,
      tokenizer,
      quota,
      clock: systemClock,
      createId,
      logger,
      onToolCall: metrics.countToolCall,
    },
    { ...config, indexRestMs, idempotencyTtlSeconds: config.idempotencyTtlHours * 3_600 },
  )
  const keys = createKeyService({
    database,
    idempotency: modules.idempotency,
    clock: systemClock,
    createId,
    cacheMs: config.keyCacheMs,
  })
  const tenants = createTenantService({
    database,
    idempotency: modules.idempotency,
    createId,
    logger,
    eraseAgents: modules.agents.eraseAll,
    onChange: (tenantId) => {
      keys.forgetVerified()
      quota.forget(tenantId)
    },
  })
  const first = await tenants.ensureFirst({ isOperatorKeyGiven: config.operatorKey !== null })
  const operatorHash = config.operatorKey === null ? await tenants.readOperatorKeyHash() : hashOf(config.operatorKey)
  const built = await createApp({
    ...config,
    modules,
    keys,
    tenants,
    metrics,
    logger,
    tokenCountSource: tokenizer.source,
    readOperatorKeyHash: async () => operatorHash,
    defaultRatePerSecond: config.rateLimitPerSecond,
    healthParts: [
      { name: 'database', isNeeded: true, check: () => database.checkHealth() },
      { name: 'vector_index', isNeeded: false, check: () => vectorIndex.checkHealth() },
      { name: 'embedder', isNeeded: false, check: () => embedder.checkHealth() },
    ],
  })
  metrics.watch({
    poolState: database.poolState,
    readIndexLag: () => database.transactAsSystem(readIndexLag),
    requestsInFlight: built.life.inFlight,
  })
  return {
    ...built,
    first,
    start: () => {
      modules.indexer.start()
      modules.maintenance.start()
      void tenants.finishDeletions().catch((error: unknown) => logger.warn({ err: error }, 'a deletion is unfinished'))
    },
    close: async () => {
      await built.app.close()
      await modules.maintenance.stop()
      await modules.indexer.stop()
      await embedder.close()
      await vectorIndex.close()
      await fallbackIndex?.close()
      await databasePart.close()
    },
  }
}
