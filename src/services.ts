/** Puts a running service together from its configuration: drivers, modules, app; and takes it apart again. */
import type { Logger } from 'pino'
import { type BuiltApp, createApp } from './app.ts'
import { composeModules, type Modules, type Parts } from './compose.ts'
import type { Config } from './config.ts'
import { createMetrics, type Metrics } from './http/metrics.ts'
import { readIndexLag } from './modules/indexing/clocks.repository.ts'
import type { PolicyDefaults } from './modules/policy/policy-body.ts'
import { hashOf } from './modules/tenant/key-secret.ts'
import type { FirstTenant } from './modules/tenant/tenant.service.ts'
import { type GivenParts, openParts } from './open-drivers.ts'
import type { Database } from './ports/database.ts'
import type { Embedder } from './ports/embedder.ts'

export type Service = BuiltApp & {
  readonly modules: Modules
  readonly first: FirstTenant
  /** Background work: the indexer and maintenance. */
  start(): void
  /** Ends the app and the background work; the parts stay open. */
  close(): Promise<void>
}

const indexKeepMs = 2_000
const indexPostponeMs = 2_000

/** What a service is made of besides its configuration: ports with a driver behind each, a clock, a log. */
export type ServiceParts = Omit<Parts, 'onToolCall'>

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
  forget: (tenantId) => embedder.forget?.(tenantId),
  close: () => embedder.close(),
})

const policyDefaultsOf = (config: Config): PolicyDefaults => ({
  format: config.policyFormat,
  turnsMax: config.policyStepsMax,
  deadlineMs: config.policyDeadlineMs,
  temperature: config.policyTemperature,
  tokensMax: config.policyTokensMax,
})

/** Once and in plain words, for who looks at the log and not at readiness. */
const tellUnready = async (database: Database, logger: Logger): Promise<void> => {
  const { ready, detail } = await database.checkHealth()
  if (!ready) logger.error({ detail }, 'the service is not ready, since its database is not as it has to be')
}

/** A service over open parts, which whoever opened them closes after it. */
export const createServiceOver = async (
  parts: ServiceParts,
  config: Config,
  metrics: Metrics = createMetrics(),
): Promise<Service> => {
  const { database, vectorIndex, tokenizer, model, logger } = parts
  const embedder = measured(parts.embedder, metrics)
  const settings = { ...config, indexKeepMs, indexPostponeMs }
  const modules = composeModules({ ...parts, embedder, onToolCall: metrics.countToolCall }, settings)
  const { tenants, indexer, indexKeeper, maintenance, modelTokens, runStreams, chat } = modules
  await indexKeeper.prepare()
  await tellUnready(database, logger)
  const first = await tenants.ensureFirst({ isOperatorKeyGiven: config.operatorKey !== null })
  const operatorHash = config.operatorKey === null ? await tenants.readOperatorKeyHash() : hashOf(config.operatorKey)
  const built = await createApp({
    ...config,
    modules,
    metrics,
    logger,
    tokenCountSource: tokenizer.source,
    readOperatorKeyHash: async () => operatorHash,
    defaultRatePerSecond: config.rateLimitPerSecond,
    policyDefaults: policyDefaultsOf(config),
    healthParts: [
      { name: 'database', isNeeded: true, check: () => database.checkHealth() },
      { name: 'vector_index', isNeeded: false, check: () => vectorIndex.checkHealth() },
      { name: 'embedder', isNeeded: false, check: () => embedder.checkHealth() },
      ...(model === null ? [] : [{ name: 'model', isNeeded: false, check: () => model.checkHealth() }]),
    ],
  })
  metrics.watch({
    poolState: database.poolState,
    readIndexLag: () => database.transactAsSystem(readIndexLag),
    requestsInFlight: built.life.inFlight,
  })
  return {
    ...built,
    modules,
    first,
    start: () => {
      indexer.start()
      indexKeeper.start()
      maintenance.start()
    },
    close: async () => {
      await runStreams.close()
      await chat.close()
      await built.app.close()
      await modelTokens.flush()
      await maintenance.stop()
      await indexKeeper.stop()
      await indexer.stop()
    },
  }
}

/** The service with its own parts; closing it closes them too, and so does a failed start. The signal ends the start. */
export const createService = async (config: Config, logger: Logger, given: GivenParts = {}): Promise<Service> => {
  const metrics = createMetrics()
  const opening = { ...given, onModelCall: metrics.observeModelCall }
  const { close: closeParts, ...parts } = await openParts(config, logger, opening)
  try {
    const service = await createServiceOver(parts, config, metrics)
    return {
      ...service,
      close: async () => {
        await service.close()
        await closeParts()
      },
    }
  } catch (error) {
    await closeParts()
    throw error
  }
}
