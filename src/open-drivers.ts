/**
 * The composition root of the drivers: the only file that names one. Which part is used follows from one URL each. The
 * clients of Qdrant and of the model are large, so they are loaded only where they are configured.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Parts } from './compose.ts'
import type { Config } from './config.ts'
import { startEmbeddedPostgres } from './drivers/database/embedded-postgres.ts'
import { migrate } from './drivers/database/migrate.ts'
import { backgroundConnections, createPostgres } from './drivers/database/postgres.ts'
import { createBundledEmbedder } from './drivers/embedder/bundled-embedder.ts'
import { withEmbeddingCache } from './drivers/embedder/embedding-cache.ts'
import { createOpenAiEmbedder } from './drivers/embedder/openai-embedder.ts'
import type { CallRecord } from './drivers/language-model/call-record.ts'
import { warnOfFewFiles } from './drivers/process/open-files.ts'
import { createEstimatingTokenizer } from './drivers/tokenizer/estimating-tokenizer.ts'
import { createFileTokenizer } from './drivers/tokenizer/file-tokenizer.ts'
import { createExactIndex } from './drivers/vector-index/exact-index.ts'
import { createSpaceReader } from './modules/indexing/space-reader.ts'
import { readInstallationSecret } from './modules/tenant/installation.repository.ts'
import type { Database } from './ports/database.ts'
import type { Embedder } from './ports/embedder.ts'
import type { LanguageModel } from './ports/language-model.ts'
import type { Tokenizer } from './ports/tokenizer.ts'
import type { VectorIndex } from './ports/vector-index.ts'
import { systemClock } from './shared/clock.ts'
import { createId } from './shared/ids.ts'

type Opening = {
  readonly logger: Logger
  readonly onClose: (closer: () => Promise<void>) => void
  /** Ends the opening, not what was opened. */
  readonly signal?: AbortSignal | undefined
}

const exactIdleMs = 600_000
const embedderWaitMs = 60_000

/** Where the database is, by each login, and how to end one that was started here. */
const locateDatabase = async (config: Config, { logger, signal }: Pick<Opening, 'logger' | 'signal'>) => {
  if (config.databaseUrl !== null) {
    const appUrl = config.databaseUrl
    return {
      appUrl,
      ownerUrl: config.databaseOwnerUrl ?? appUrl,
      backgroundUrl: config.databaseBackgroundUrl ?? appUrl,
      stop: async () => {},
    }
  }
  const embedded = await startEmbeddedPostgres({ dataDir: config.dataDir, logger, signal })
  const { url: ownerUrl, serviceUrl: appUrl, backgroundUrl, stop } = embedded
  return { appUrl, ownerUrl, backgroundUrl, stop }
}

/** Applies the migrations; whoever started the database for it, stops it. */
export const migrateDatabase = async (config: Config, logger: Logger): Promise<void> => {
  const { stop, ...urls } = await locateDatabase(config, { logger })
  try {
    await migrate({ ...urls, connectTimeoutMs: config.databaseConnectTimeoutMs, logger })
  } finally {
    await stop()
  }
}

/** A migrated database. What was started for it is handed to `onClose`. */
const openDatabase = async (config: Config, { logger, onClose, signal }: Opening): Promise<Database> => {
  const { stop, ...urls } = await locateDatabase(config, { logger, signal })
  onClose(stop)
  const connectTimeoutMs = config.databaseConnectTimeoutMs
  const { schemaVersion } = await migrate({ ...urls, connectTimeoutMs, logger })
  const database = createPostgres({
    url: urls.appUrl,
    backgroundUrl: urls.backgroundUrl,
    poolMax: config.poolMax,
    connectTimeoutMs,
    statementTimeoutMs: config.statementTimeoutMs,
    lockTimeoutMs: config.lockTimeoutMs,
    schemaVersion,
    logger,
  })
  onClose(database.close)
  return database
}

const connectEmbedder = async (config: Config, logger: Logger): Promise<Embedder> => {
  if (config.embedderUrl === null || config.embedderModel === null) return createBundledEmbedder({ logger })
  return createOpenAiEmbedder({
    url: config.embedderUrl,
    model: config.embedderModel,
    apiKey: config.embedderApiKey,
    inputType: config.embedderInputType,
    queryPrefix: config.embedderQueryPrefix,
    passagePrefix: config.embedderPassagePrefix,
    logger,
  })
}

/** The index cannot be built before the embedder has told its dimension, so a start waits for it, for a while. */
const openEmbedder = async (config: Config, { logger, onClose, signal }: Opening): Promise<Embedder> => {
  const embedder = await connectEmbedder(config, logger)
  onClose(embedder.close)
  const giveUpMs = Date.now() + embedderWaitMs
  while (config.embedderUrl !== null && !(await embedder.checkHealth()).ready && Date.now() < giveUpMs) {
    logger.warn('the embedder does not answer yet; the start waits for it')
    await sleep(1_000, undefined, { signal })
  }
  return withEmbeddingCache(embedder, { maxBytes: config.embeddingCacheBytes })
}

const openIndex = async (
  config: Config,
  { database, embedder }: { database: Database; embedder: Embedder },
  { logger, onClose }: Opening,
): Promise<{ readonly vectorIndex: VectorIndex; readonly fallbackIndex: VectorIndex | null }> => {
  const { dimensions, model } = embedder
  const exact = createExactIndex({
    dimensions,
    readSpaceChanges: createSpaceReader({ database, model }),
    maxBytes: config.exactIndexBytes,
    idleMs: exactIdleMs,
    readTimeoutMs: config.indexTimeoutMs,
    clock: systemClock,
  })
  onClose(exact.close)
  if (config.qdrantUrl === null) return { vectorIndex: exact, fallbackIndex: null }
  const { createQdrantIndex } = await import('./drivers/vector-index/qdrant-index.ts')
  const qdrant = createQdrantIndex({
    url: config.qdrantUrl,
    apiKey: config.qdrantApiKey,
    collectionPrefix: 'agemem',
    model,
    dimensions,
    timeoutMs: config.indexTimeoutMs,
    writeTimeoutMs: config.indexTimeoutMs * 4,
    clock: systemClock,
    logger,
  })
  onClose(qdrant.close)
  return { vectorIndex: qdrant, fallbackIndex: exact }
}

type ModelOpening = Opening & { readonly database: Database; readonly onCall: (record: CallRecord) => void }

const openModel = async (
  config: Config,
  { database, logger, onClose, onCall }: ModelOpening,
): Promise<LanguageModel | null> => {
  if (config.vllmUrl === null || config.vllmModel === null) return null
  const { createVllmModel } = await import('./drivers/language-model/vllm-model.ts')
  const model = await createVllmModel({
    url: config.vllmUrl,
    model: config.vllmModel,
    apiKey: config.vllmApiKey,
    saltSecret: await database.transactAsSystem(readInstallationSecret),
    timeoutMs: config.vllmTimeoutMs,
    concurrencyMax: config.vllmConcurrencyMax,
    concurrencyPerTenantMax: config.vllmConcurrencyPerTenantMax,
    queueMax: config.vllmQueueMax,
    logger,
    onCall,
  })
  onClose(model.close)
  return model
}

const openTokenizer = async ({ tokenizerFile }: Config): Promise<Tokenizer> =>
  tokenizerFile === null ? createEstimatingTokenizer() : createFileTokenizer({ path: tokenizerFile })

export type GivenParts = {
  readonly embedder?: Embedder
  readonly signal?: AbortSignal | undefined
}

/**
 * Opens every part that the configuration asks for, or none: when one fails, those that are open are closed again. An
 * embedder that is given stands in for the configured one. @throws the reason of the signal when it aborts meanwhile
 */
export const openParts = async (
  config: Config,
  logger: Logger,
  given: GivenParts & {
    /** Told of each generation of the configured model. */
    readonly onModelCall?: (record: CallRecord) => void
  } = {},
): Promise<Omit<Parts, 'onToolCall'> & { close(): Promise<void> }> => {
  const closers: (() => Promise<void>)[] = []
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  const { signal, onModelCall: onCall = () => {} } = given
  const opening: Opening = { logger, onClose: (closer) => closers.push(closer), signal }
  try {
    const databaseConnections = config.poolMax + backgroundConnections
    await warnOfFewFiles({ requests: config.requestsInFlightMax, databaseConnections }, logger)
    const database = await openDatabase(config, opening)
    signal?.throwIfAborted()
    const embedder = given.embedder ?? (await openEmbedder(config, opening))
    const index = await openIndex(config, { database, embedder }, opening)
    const tokenizer = await openTokenizer(config)
    const model = await openModel(config, { ...opening, database, onCall })
    signal?.throwIfAborted()
    return { database, embedder, ...index, tokenizer, model, clock: systemClock, createId, logger, close }
  } catch (error) {
    await close()
    throw error
  }
}
