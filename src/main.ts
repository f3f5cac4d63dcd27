/** The process: config, service, listen; on SIGINT or SIGTERM it drains and leaves nothing behind. */
import { setTimeout as sleep } from 'node:timers/promises'
import pino from 'pino'
import { loadConfig } from './config.ts'
import { describeError } from './http/describe-error.ts'
import { createService, type Service } from './services.ts'
import { isAppError } from './shared/errors.ts'

const print = (line: string) => process.stdout.write(`${line}\n`)

const explain = (error: unknown): string => {
  if (isAppError(error)) return error.detail
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

const introduce = ({ first }: Service, address: string): void => {
  if (first.operatorKey !== null) print(`operator key: ${first.operatorKey}`)
  if (first.tenantKey !== null) {
    print(`tenant key: ${first.tenantKey}`)
    print('These keys are shown this once. Try the service with:')
    print(
      `curl -s ${address}/v1/agents/demo/memories -H 'Authorization: Bearer ${first.tenantKey}' ` +
        `-H 'Content-Type: application/json' -d '{"content":"Ana is allergic to peanuts."}'`,
    )
  }
  print(`listening on ${address}`)
}

/** Under load balancers a moment passes until no request comes any more; those under way may finish. */
const drain = async ({ life }: Service, timeoutMs: number): Promise<void> => {
  life.startDraining()
  const giveUpMs = Date.now() + timeoutMs
  while (life.inFlight() > 0 && Date.now() < giveUpMs) await sleep(20)
}

const run = async (): Promise<void> => {
  const config = loadConfig()
  const logger = pino({ level: config.logLevel, serializers: { err: describeError } }, pino.destination(2))
  const service = await createService(config, logger)
  try {
    await service.app.listen({ host: config.host, port: config.port })
  } catch (error) {
    await service.close()
    const isTaken = (error as { code?: unknown }).code === 'EADDRINUSE'
    throw isTaken
      ? new Error(`Port ${config.port} on ${config.host} is taken. Set AGEMEM_PORT to another, or to 0.`)
      : error
  }
  service.start()
  const address = service.app.server.address()
  const port = typeof address === 'object' && address !== null ? address.port : config.port
  introduce(service, `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`)

  let isStopping = false
  const stop = (signal: string) => {
    if (isStopping) return
    isStopping = true
    logger.info({ signal }, 'stopping')
    void drain(service, config.drainTimeoutMs)
      .then(service.close)
      .then(
        () => process.exit(0),
        (error: unknown) => {
          process.stderr.write(`${explain(error)}\n`)
          process.exit(1)
        },
      )
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
}

run().catch((error: unknown) => {
  process.stderr.write(`${explain(error)}\n`)
  process.exit(1)
})
