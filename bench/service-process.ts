/**
 * The service as a process of its own, over the database whose URL is its first argument and with the settings in its
 * second, with the fast embedder; beside it a bare Fastify route on the same event loop, the floor of every request. It answers what its parent asks over IPC.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import Fastify from 'fastify'
import pino from 'pino'
import { loadConfig } from '../src/config.ts'
import { openParts } from '../src/open-drivers.ts'
import { createServiceOver } from '../src/services.ts'
import { createFastEmbedder } from './fast-embedder.ts'
import type { ProcessState, ServiceStarted } from './service.ts'

/** A context of 500 messages fits, FILTER finds something to remove, and no limit or deadline is in the way. */
const settings = {
  AGEMEM_BUDGET_TOKENS: '100000',
  AGEMEM_FILTER_THRESHOLD: '0.35',
  AGEMEM_RATE_LIMIT_PER_SECOND: '100000',
  AGEMEM_REQUEST_TIMEOUT_MS: '60000',
  AGEMEM_INDEX_TIMEOUT_MS: '50000',
}

const [databaseUrl = '', given = '{}'] = process.argv.slice(2)
const logger = pino({ level: 'silent' })
const config = loadConfig({ ...settings, ...JSON.parse(given), AGEMEM_DATABASE_URL: databaseUrl })
const { close: closeParts, ...parts } = await openParts(config, logger, { embedder: createFastEmbedder() })
const service = await createServiceOver(parts, config)
const floor = Fastify()
floor.post('/', async () => ({ ok: true }))

const listen = { host: '127.0.0.1', port: 0 }
const started: ServiceStarted = {
  url: await service.app.listen(listen),
  floorUrl: await floor.listen(listen),
  key: service.first.tenantKey,
}
service.start()

const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()

/** What the process takes, and the longest pause of its event loop since it was last asked. */
const stateOf = (): ProcessState => {
  const { rss, heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage()
  const longestPauseMs = delay.max / 1e6
  delay.reset()
  return { rss, heapUsed, heapTotal, external, arrayBuffers, longestPauseMs }
}

const close = async () => {
  await floor.close()
  await service.close()
  await closeParts()
  process.exit(0)
}

process.on('message', () => process.send?.(stateOf()))
process.on('disconnect', () => void close())
process.send?.(started)
