/** The service as its process composes it, from settings and with an embedder of the test's, but in this process. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { loadConfig } from '../../src/config.ts'
import { startEmbeddedPostgres } from '../../src/drivers/database/embedded-postgres.ts'
import type { Embedder } from '../../src/ports/embedder.ts'
import { createService } from '../../src/services.ts'
import { createFakeEmbedder } from './fake-embedder.ts'

export type ServiceOptions = { readonly env: Record<string, string>; readonly embedder?: Embedder }

export const startTestService = async ({ env, embedder }: ServiceOptions) => {
  const given = embedder === undefined ? {} : { embedder }
  const service = await createService(loadConfig(env), pino({ level: 'silent' }), given)
  const url = await service.app.listen({ host: '127.0.0.1', port: 0 })
  service.start()
  return {
    url,
    key: service.first.tenantKey ?? '',
    modules: service.modules,
    close: service.close,
  }
}

export type TestService = Awaited<ReturnType<typeof startTestService>>

/** A service on a PostgreSQL of its own in a new folder, which a test may kill or stop. Keys are looked up each time. */
export const startOnOwnDatabase = async (env: Record<string, string> = {}) => {
  const folder = await mkdtemp(join(tmpdir(), 'agemem-own-'))
  const postgres = await startEmbeddedPostgres({ dataDir: folder, logger: pino({ level: 'silent' }) })
  const urls = {
    AGEMEM_DATABASE_URL: postgres.serviceUrl,
    AGEMEM_DATABASE_OWNER_URL: postgres.url,
    AGEMEM_DATABASE_BACKGROUND_URL: postgres.backgroundUrl,
  }
  const service = await startTestService({
    env: { ...urls, AGEMEM_KEY_CACHE_MS: '0', ...env },
    embedder: createFakeEmbedder(),
  })
  return {
    folder,
    postgres,
    service,
    close: async () => {
      await service.close()
      await postgres.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export type OwnDatabase = Awaited<ReturnType<typeof startOnOwnDatabase>>
