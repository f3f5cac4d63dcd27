/**
 * Keeps a server on the folder for as long as the service runs: one that ends unasked (killed for its memory, say) is
 * started again where its socket was, so that the pool finds it under the same URL. Between two attempts that fail some
 * time passes. When it cannot be known whether the server is there (no file descriptor is left, say), nothing is
 * started, stopped or cleared away until it can be. Invariant: after `stop` no attempt is under way and no server runs.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { reasonOf } from './embedded-failure.ts'
import { isServerOf } from './embedded-process.ts'
import { adoptOrLaunch, endServer, type Server, type ServerOptions } from './embedded-server.ts'

const checkEveryMs = 500
const retryAfterMs = 5_000

export type WatchedServer = {
  pid(): number
  /** Ends the watch and the server. */
  stop(): Promise<void>
}

export const watchServer = (options: ServerOptions, first: Server): WatchedServer => {
  const { cluster, logger } = options
  const stopped = new AbortController()
  const { signal } = stopped
  let server = first
  let isUnknown = false

  const revive = async (): Promise<void> => {
    logger.error({ postgresPid: server.pid }, 'the embedded database is gone; it is started again')
    try {
      server = await adoptOrLaunch({ ...options, socketDir: server.socketDir, signal })
      logger.info({ postgresPid: server.pid, adopted: server.adopted }, 'the embedded database is up')
    } catch (error) {
      if (signal.aborted) return
      logger.error({ reason: reasonOf(error), retryAfterMs }, 'the embedded database could not be started')
      await sleep(retryAfterMs, undefined, { signal })
    }
  }

  /** Says once that it does not know, and looks less often until it does. */
  const look = async (): Promise<'there' | 'gone' | 'unknown'> => {
    try {
      const isThere = await isServerOf(server.pid, cluster)
      if (isUnknown)
        logger.info({ postgresPid: server.pid, isThere }, 'the embedded database can be looked after again')
      isUnknown = false
      return isThere ? 'there' : 'gone'
    } catch (error) {
      if (!isUnknown)
        logger.error(
          { postgresPid: server.pid, reason: reasonOf(error) },
          'whether the embedded database runs cannot be known; it is left as it is',
        )
      isUnknown = true
      await sleep(retryAfterMs, undefined, { signal, ref: false })
      return 'unknown'
    }
  }

  const watch = async (): Promise<void> => {
    while (!signal.aborted) {
      await sleep(checkEveryMs, undefined, { signal, ref: false })
      if ((await look()) === 'gone') await revive()
    }
  }

  const watching = watch().catch((error: unknown) => {
    if (!signal.aborted) logger.error({ reason: reasonOf(error) }, 'the embedded database is watched no more')
  })

  return {
    pid: () => server.pid,
    stop: async () => {
      stopped.abort()
      await watching
      await endServer(server, cluster)
    },
  }
}
