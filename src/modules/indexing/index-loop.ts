import type { Logger } from 'pino'

/** Runs again and again with a rest between, which `wake` ends, until it is stopped. A failure is told and tried again. */
export const createLoop = ({
  runOnce,
  intervalMs,
  stopped,
  logger,
}: {
  readonly runOnce: () => Promise<void>
  readonly intervalMs: number
  readonly stopped: AbortSignal
  readonly logger: Logger
}) => {
  let running: Promise<void> = Promise.resolve()
  let wake = () => {}

  const rest = () =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, intervalMs)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  const run = async (): Promise<void> => {
    while (!stopped.aborted) {
      await runOnce().catch((error: unknown) => {
        if (!stopped.aborted) logger.warn({ err: error }, 'the vector index could not be looked after now')
      })
      if (!stopped.aborted) await rest()
    }
  }

  return {
    start: () => {
      running = run()
    },
    wake: () => wake(),
    /** Resolves when nothing runs any more; `stopped` has to be aborted before. */
    stop: () => {
      wake()
      return running
    },
  }
}
