/** The composition root of the drivers: the only file that names one. Which part is used follows from one URL each. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Config } from './config.ts'
import { startEmbeddedPostgres } from './drivers/database/embedded-postgres.ts'
import { migrate } from './drivers/database/migrate.ts'
import { createPostgres } from './drivers/database/postgres.ts'
import { createBundledEmbedder } from './drivers/embedder/bundled-embedder.ts'
import { withEmbeddingCache } from './drivers/embedder/embedding-cache.ts'
import { createOpenAiEmbedder } from './drivers/embedder/openai-embedder.ts'
import { createEstimatingTokenizer } from './drivers/tokenizer/estimating-tokenizer.ts'
import { createFileTokenizer } from './drivers/tokenizer/file-tokenizer.ts'
import { createExactIndex } from './drivers/vector-index/exact-index.ts'
import { createQdrantIndex } from './drivers/vector-index/qdrant-index.ts'
import { createSpaceReader } from './modules/memory/space-reader.ts'
import type { Database } from './ports/database.ts'
import type { Embedder } from './ports/embedder.ts'
import type { Tokenizer } from './ports/tokenizer.ts'
import type { VectorIndex } from './ports/vector-index.ts'
import { systemClock } from './shared/clock.ts'

export type DatabasePart = { readonly database: Database; close(): Promise<void> }

const exactIdleMs = 600_000
const embedderWaitMs = 60_000

/** Where the database is, and how to end one that was started here. */
const locateDatabase = async (config: Config, logger: Logger) => {
  if (config.databaseUrl !== null) {
    const appUrl = config.databaseUrl
    return { appUrl, ownerUrl: config.databaseOwnerUrl ?? appUrl, stop: async () => {} }
  }
  const embedded = await startEmbeddedPostgres({ dataDir: config.dataDir, logger })
  return { appUrl: embedded.url, ownerUrl: embedded.url, stop: embedded.stop }
}

/** A migrated database; what was started for it is stopped by `close`, and at once when anything fails. */
export const openDatabase = async (config: Config, logger: Logger): Promise<DatabasePart> => {
  const { appUrl, ownerUrl, stop } = await locateDatabase(config, logger)
  try {
    await migrate({ ownerUrl, appUrl, connectTimeoutMs: config.databaseConnectTimeoutMs, logger })
  } catch (error) {
    await stop()
    throw error
  }
  const database = createPostgres({
    url: appUrl,
    poolMax: config.poolMax,
    connectTimeoutMs: config.databaseConnectTimeoutMs,
    statementTimeoutMs: config.statementTimeoutMs,
    logger,
  })
  const close = async () => {
    await database.close()
    await stop()
  }
  return { database, close }
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
export const openEmbedder = async (config: Config, logger: Logger): Promise<Embedder> => {
  const embedder = await connectEmbedder(config, logger)
  const giveUpMs = Date.now() + embedderWaitMs
  while (config.embedderUrl !== null && !(await embedder.checkHealth()).ready && Date.now() < giveUpMs) {
    logger.warn('the embedder does not answer yet; the start waits for it')
    await sleep(1_000)
  }
  return withEmbeddingCache(embedder, { maxBytes: config.embeddingCacheBytes })
}

export type IndexPart = { readonly vectorIndex: VectorIndex; readonly fallbackIndex: VectorIndex | null }

export const openIndex = async (
  config: Config,
  { database, embedder, logger }: { database: Database; embedder: Embedder; logger: Logger },
): Promise<IndexPart> => {
  const { dimensions, model } = embedder
  const exact = createExactIndex({
    dimensions,
    readSpaceChanges: createSpaceReader({ database, model }),
    maxBytes: config.exactIndexBytes,
    idleMs: exactIdleMs,
    readTimeoutMs: config.indexTimeoutMs,
    clock: systemClock,
  })
  if (config.qdrantUrl === null) return { vectorIndex: exact, fallbackIndex: null }
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
  return { vectorIndex: qdrant, fallbackIndex: exact }
}

export const openTokenizer = async ({ tokenizerFile }: Config): Promise<Tokenizer> =>
  tokenizerFile === null ? createEstimatingTokenizer() : createFileTokenizer({ path: join(tokenizerFile) })
