/** The service over an embedded PostgreSQL and the exact index, with an embedder that costs next to nothing. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { loadConfig } from '../src/config.ts'
import { startEmbeddedPostgres } from '../src/drivers/database/embedded-postgres.ts'
import { openParts } from '../src/open-drivers.ts'
import type { Embedder } from '../src/ports/embedder.ts'
import { createServiceOver } from '../src/services.ts'

/** A context of 500 messages fits, and FILTER finds something to remove. */
const benchSettings = { AGEMEM_BUDGET_TOKENS: '100000', AGEMEM_FILTER_THRESHOLD: '0.9' }
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
  const config = loadConfig({ ...benchSettings, AGEMEM_DATABASE_URL: postgres.url })
  const { close: closeParts, ...parts } = await openParts(config, logger, { embedder: fastEmbedder })
  const service = await createServiceOver(parts, config)
  const url = await service.app.listen({ host: '127.0.0.1', port: 0 })
  service.start()
  return {
    url,
    key: service.first.tenantKey ?? '',
    databaseUrl: postgres.url,
    modules: service.modules,
    close: async () => {
      await service.close()
      await closeParts()
      await postgres.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

export type BenchService = Awaited<ReturnType<typeof startBenchService>>
