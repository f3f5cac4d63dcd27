/**
 * Starts the service as a child process with everything embedded, on a free port and a temporary data folder, for
 * commands that were not given a service. The folder and the process go when the command ends, however it ends.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export type RunningService = {
  readonly baseUrl: string
  readonly key: string
  /** Ends the process and removes its data; safe to call twice. */
  stop(): Promise<void>
}

/** The service did not come up; the message ends with the last lines that it printed. */
export class ServiceStartError extends Error {
  override readonly name = 'ServiceStartError'
}

const startTimeoutMs = 120_000
const stopTimeoutMs = 20_000
const tailLinesMax = 20

/** Settings that would point the child at something that is not the command's own. */
const notInherited = /^AGEMEM_(HOST|PORT|DATA_DIR|DATABASE_.*|QDRANT_.*|OPERATOR_KEY|LOG_LEVEL)$/

const childEnvironment = (env: NodeJS.ProcessEnv, dataDir: string): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(env).filter(([name]) => !notInherited.test(name))),
  AGEMEM_HOST: '127.0.0.1',
  AGEMEM_PORT: '0',
  AGEMEM_DATA_DIR: dataDir,
  AGEMEM_LOG_LEVEL: 'warn',
})

/** Runs from the sources and from the built program alike. */
const serviceArguments = (): readonly string[] =>
  import.meta.url.endsWith('.ts')
    ? ['--import', 'tsx', fileURLToPath(new URL('../main.ts', import.meta.url))]
    : [fileURLToPath(new URL('../main.js', import.meta.url))]

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

const endOf = (child: ChildProcess): Promise<void> =>
  hasEnded(child) ? Promise.resolve() : new Promise((resolve) => child.once('exit', () => resolve()))

/** The service and whatever it started: nothing may outlive the command. */
const killGroup = ({ pid }: ChildProcess): void => {
  if (pid !== undefined) process.kill(-pid, 'SIGKILL')
}

const stopChild = async (child: ChildProcess): Promise<void> => {
  if (hasEnded(child)) return
  child.kill('SIGTERM')
  const timer = setTimeout(() => killGroup(child), stopTimeoutMs)
  await endOf(child)
  clearTimeout(timer)
}

/** Resolves with what the start prints. @throws ServiceStartError when it ends or takes too long */
const readStart = (child: ChildProcess, signal: AbortSignal): Promise<{ baseUrl: string; key: string }> =>
  new Promise((resolve, reject) => {
    const tail: string[] = []
    let baseUrl: string | undefined
    let key: string | undefined
    const fail = (reason: string) => reject(new ServiceStartError([`The service ${reason}.`, ...tail].join('\n  ')))
    const onLine = (line: string) => {
      key ??= /^tenant key: (\S+)/.exec(line)?.[1]
      baseUrl ??= /listening on (http:\/\/[^\s"]+)/.exec(line)?.[1]
      tail.push(line.replace(/^((?:tenant|operator) key:) \S+/, '$1 …'))
      if (tail.length > tailLinesMax) tail.shift()
      if (baseUrl !== undefined && key !== undefined) resolve({ baseUrl, key })
    }
    for (const stream of [child.stdout, child.stderr]) if (stream) createInterface(stream).on('line', onLine)
    child.once('error', (error) => fail(`could not be started: ${error.message}`))
    child.once('close', (code) => fail(`ended before it was ready (exit code ${code ?? 'none'})`))
    AbortSignal.timeout(startTimeoutMs).addEventListener('abort', () =>
      fail(`was not ready after ${startTimeoutMs / 1000} s`),
    )
    signal.addEventListener('abort', () => fail('was stopped while it started'), { once: true })
  })

/** `env` is handed on, without what would point the service at another database, index or port. */
export const startEmbeddedService = async ({
  env,
  signal,
}: {
  readonly env: NodeJS.ProcessEnv
  readonly signal: AbortSignal
}): Promise<RunningService> => {
  signal.throwIfAborted()
  const dataDir = await mkdtemp(join(tmpdir(), 'agemem-cli-'))
  // A process group of its own: Ctrl-C reaches this process alone, which then stops the service in good order.
  const child = spawn(process.execPath, [...serviceArguments()], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: childEnvironment(env, dataDir),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const endLate = () => void child.kill('SIGTERM')
  process.once('exit', endLate)
  const stop = async () => {
    await stopChild(child)
    process.removeListener('exit', endLate)
    await rm(dataDir, { recursive: true, force: true })
  }
  try {
    return { ...(await readStart(child, signal)), stop }
  } catch (error) {
    await stop()
    throw error
  }
}
