/** The process: config, service, listen; on SIGINT or SIGTERM it drains and leaves nothing behind. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import pino from 'pino'
import { type Config, loadConfig } from './config.ts'
import { describeError } from './http/describe-error.ts'
import { createService, type Service } from './services.ts'
import { AppError, isAppError } from './shared/errors.ts'
import { callUrlOf, type ListenAddress, listenUrlOf } from './shared/listen-address.ts'

const print = (line: string) => process.stdout.write(`${line}\n`)

const explain = (error: unknown): string => {
  if (isAppError(error)) return error.detail
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** Before anything else can fail: the database holds their hashes alone, and no later start shows them. */
const showKeys = ({ first }: Service): void => {
  if (first.operatorKey !== null) print(`operator key: ${first.operatorKey}`)
  if (first.tenantKey !== null) print(`tenant key: ${first.tenantKey}`)
  if (first.operatorKey !== null || first.tenantKey !== null) print('What stands above is shown this once.')
}

const introduce = ({ first }: Service, { host, port }: ListenAddress): void => {
  if (first.tenantKey !== null) {
    print('Try the service with:')
    print(
      `curl -s ${callUrlOf({ host, port })}/v1/agents/demo/memories -H 'Authorization: Bearer ${first.tenantKey}' ` +
        `-H 'Content-Type: application/json' -d '{"content":"Ana is allergic to peanuts."}'`,
    )
  }
  print(`listening on ${listenUrlOf({ host, port })}`)
}

/** Under load balancers a moment passes until no request comes any more; those under way may finish. */
const drain = async ({ life }: Service, timeoutMs: number): Promise<void> => {
  life.startDraining()
  const giveUpMs = Date.now() + timeoutMs
  while (life.inFlight() > 0 && Date.now() < giveUpMs) await sleep(20)
}

const listen = async (service: Service, { host, port }: Config): Promise<void> => {
  try {
    await service.app.listen({ host, port })
  } catch (error) {
    await service.close()
    const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
    const detail = isTaken
      ? `Port ${port} on ${host} is taken. Set AGEMEM_PORT to another, or to 0.`
      : `The service cannot listen on ${host}: ${(error as Error).message}. Set AGEMEM_HOST and AGEMEM_PORT.`
    throw new AppError({ code: 'config.invalid', status: 500, detail, cause: error })
  }
}

/** With the port that was picked where 0 was asked for. */
const addressOf = ({ app }: Service, { host, port }: Config): ListenAddress => {
  const address = app.server.address()
  return { host, port: typeof address === 'object' && address !== null ? address.port : port }
}

/** Aborts at the first SIGINT or SIGTERM; heard from the first moment, since a start opens things too. */
const stopSignal = (): AbortSignal => {
  const controller = new AbortController()
  const stop = (name: string) => controller.abort(name)
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  return controller.signal
}

const untilAborted = async (signal: AbortSignal): Promise<void> => {
  if (!signal.aborted) await once(signal, 'abort')
}

const run = async (stopped: AbortSignal): Promise<void> => {
  const config = loadConfig()
  const logger = pino({ level: config.logLevel, serializers: { err: describeError } }, pino.destination(2))
  const service = await createService(config, logger, stopped)
  showKeys(service)
  await listen(service, config)
  service.start()
  introduce(service, addressOf(service, config))
  await untilAborted(stopped)
  logger.info({ signal: stopped.reason }, 'stopping')
  await drain(service, config.drainTimeoutMs)
  await service.close()
}

const stopped = stopSignal()
run(stopped).then(
  () => process.exit(0),
  (error: unknown) => {
    const isStopped = stopped.aborted && (error === stopped.reason || (error as Error).name === 'AbortError')
    if (!isStopped) process.stderr.write(`${explain(error)}\n`)
    process.exit(isStopped ? 0 : 1)
  },
)
