/**
 * Keeps one worker thread with the bundled model alive. States:
 *
 *   loading --ready--> idle <--batch / vectors--> busy        any --thread ends--> waiting --delay--> loading
 *   any --close--> closed
 *
 * Invariants: a batch runs only from `idle`, so the thread has one at most; a thread that ends fails its batch, never
 * another one; a thread that neither loads nor answers within `stuckMs` is ended like a crashed one; after close there
 * is no thread and no timer.
 */
import { Worker } from 'node:worker_threads'
import type { Logger } from 'pino'
import { embedderUnavailable } from './embedder-errors.ts'

const restartDelayMaxMs = 30_000

/** The compiled thread where this file is compiled too; from sources, the TypeScript file through tsx. */
export const startBundledWorker = (): Worker => {
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./bundled-worker.js', import.meta.url))
  const api = import.meta.resolve('tsx/esm/api')
  const entry = new URL('./bundled-worker.ts', import.meta.url).href
  const code = `import { tsImport } from '${api}'; await tsImport('${entry}', '${entry}')`
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { execArgv: [] })
}

export type ModelThread = {
  isIdle(): boolean
  /** What it does now, for people. */
  state(): 'loading' | 'idle' | 'busy' | 'waiting' | 'closed'
  /** Vectors in the order of the texts. Only while idle. @throws AppError `embedder.unavailable` if the thread ends */
  run(texts: readonly string[]): Promise<readonly Float32Array[]>
  close(): Promise<void>
}

const threadLost = () =>
  embedderUnavailable('The bundled embedding model stopped while it worked on the text. Try again.')

type Batch = { resolve(vectors: readonly Float32Array[]): void; reject(error: unknown): void }

type ThreadDeps = {
  readonly logger: Logger
  readonly startWorker: () => Worker
  readonly stuckMs: number
  readonly restartDelayMs: number
  readonly onIdle: () => void
  /** The thread ended before it was ready: whoever waits should not wait for the next attempt. */
  readonly onLoadFailed: () => void
}

export const createModelThread = (deps: ThreadDeps): ModelThread => {
  const { logger, startWorker, stuckMs, restartDelayMs, onIdle, onLoadFailed } = deps
  let state: ReturnType<ModelThread['state']> = 'loading'
  let worker: Worker | null = null
  let batch: Batch | null = null
  let failures = 0
  let timer: NodeJS.Timeout | undefined

  const after = (delayMs: number, act: () => void): void => {
    clearTimeout(timer)
    timer = setTimeout(act, delayMs)
  }

  const endBatch = (): Batch | null => {
    const ended = batch
    batch = null
    return ended
  }

  const receive = (message: 'ready' | readonly Float32Array[]): void => {
    if (state === 'closed') return
    clearTimeout(timer)
    state = 'idle'
    if (message !== 'ready') {
      failures = 0
      endBatch()?.resolve(message)
    }
    onIdle()
  }

  const lose = (error: Error | undefined): void => {
    if (state === 'closed') return
    const wasLoading = state === 'loading'
    const delayMs = Math.min(restartDelayMaxMs, restartDelayMs * 2 ** failures)
    logger.error({ err: error, delayMs, wasLoading }, 'the thread of the bundled embedder ended and is started again')
    failures += 1
    state = 'waiting'
    after(delayMs, start)
    endBatch()?.reject(threadLost())
    if (wasLoading) onLoadFailed()
  }

  const start = (): void => {
    state = 'loading'
    const started = startWorker()
    let failure: Error | undefined
    started.on('message', receive)
    started.on('error', (error: Error) => {
      failure = error
    })
    started.on('exit', () => lose(failure))
    worker = started
    after(stuckMs, () => void started.terminate())
  }

  start()
  return {
    isIdle: () => state === 'idle',
    state: () => state,
    run: (texts) => {
      const running = worker
      state = 'busy'
      after(stuckMs, () => void running?.terminate())
      running?.postMessage(texts)
      return new Promise((resolve, reject) => {
        batch = { resolve, reject }
      })
    },
    close: async () => {
      state = 'closed'
      clearTimeout(timer)
      endBatch()?.reject(threadLost())
      await worker?.terminate()
    },
  }
}
