/** The service as processes of their own, in process groups of their own, so that nothing of them outlives a test. */
import { type ChildProcess, spawn } from 'node:child_process'
import { chown, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))
const nobody = 65_534
const startTimeoutMs = 60_000

export type Launched = { readonly child: ChildProcess; output(): string }
export type Running = Launched & { readonly url: string; readonly key: string }

export type LaunchOptions = {
  readonly env?: Record<string, string>
  /** `node`: the process itself; `npm`: through `npm start`, as people start it. */
  readonly by?: 'node' | 'npm'
  readonly uid?: number | undefined
  /** Files and sockets that the process may have open at once; absent: as many as here. */
  readonly filesMax?: number
}

const isOpenToAll = async (path: string): Promise<boolean> => {
  const { mode } = await stat(path)
  return (mode & 0o005) === 0o005 && (path === dirname(path) || isOpenToAll(dirname(path)))
}

/** An account without rights of root: undefined, the own one, where the tests run as a user or the sources are private. */
export const findPlainUid = async (): Promise<number | undefined> =>
  process.getuid?.() === 0 && (await isOpenToAll(root)) ? nobody : undefined

const commands = {
  node: [process.execPath, '--import', 'tsx', 'src/main.ts'],
  npm: ['npm', 'start', '--silent', '--no-update-notifier'],
} as const

export const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null

export const endOf = (child: ChildProcess): Promise<number | null> =>
  hasEnded(child) ? Promise.resolve(child.exitCode) : new Promise((resolve) => child.once('exit', resolve))

/** Is there a process of this id, or of this group when it is negative? */
export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

export const postgresPidOf = ({ output }: Launched): number => Number(/"postgresPid":(\d+)/.exec(output())?.[1])

export const call = (
  { url, key }: Pick<Running, 'url' | 'key'>,
  path: string,
  { body, method = body === undefined ? 'GET' : 'POST', headers = {} }: CallOptions = {},
): Promise<Response> =>
  fetch(`${url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  })

export type CallOptions = {
  readonly body?: object
  readonly method?: string
  readonly headers?: Record<string, string>
}

/** Resolves when it listens or has ended. @throws after a minute */
const untilListening = ({ child, output }: Launched): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the service does not start:\n${output()}`)), startTimeoutMs)
    const end = () => {
      clearTimeout(timer)
      resolve()
    }
    child.stdout?.on('data', () => {
      if (/listening on http/.test(output())) end()
    })
    child.once('close', end)
  })

/** Everything that the tests of one file start; `end` leaves nothing of it. */
export const createProcesses = () => {
  const folders: string[] = []
  const children: ChildProcess[] = []

  const makeFolder = async (uid?: number): Promise<string> => {
    const folder = await mkdtemp(join(tmpdir(), 'agemem-acceptance-'))
    if (uid !== undefined) await chown(folder, uid, uid)
    folders.push(folder)
    return folder
  }

  const launch = ({ env = {}, by = 'node', uid, filesMax }: LaunchOptions): Launched => {
    const limited = filesMax === undefined ? [] : ['sh', '-c', `ulimit -n ${filesMax} && exec "$0" "$@"`]
    const [file = '', ...args] = [...limited, ...commands[by]]
    const child = spawn(file, args, {
      cwd: root,
      env: {
        PATH: process.env.PATH ?? '',
        HOME: env.AGEMEM_DATA_DIR ?? tmpdir(),
        AGEMEM_PORT: '0',
        AGEMEM_LOG_LEVEL: 'info',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      ...(uid === undefined ? {} : { uid, gid: uid }),
    })
    children.push(child)
    let text = ''
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (piece: Buffer) => {
        text += piece.toString()
      })
    return { child, output: () => text }
  }

  /** Resolves when it listens; `key` is that of the first start, or the given one. */
  const start = async (options: LaunchOptions & { key?: string }): Promise<Running> => {
    const launched = launch(options)
    const { output } = launched
    await untilListening(launched)
    const url = /listening on (\S+)/.exec(output())?.[1]
    if (url === undefined) throw new Error(`the service did not start:\n${output()}`)
    return { ...launched, url, key: /tenant key: (\S+)/.exec(output())?.[1] ?? options.key ?? '' }
  }

  const end = async (): Promise<void> => {
    for (const child of children.splice(0)) {
      if (!hasEnded(child)) child.kill('SIGTERM')
      await endOf(child)
    }
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
  }

  return { makeFolder, launch, start, end }
}
