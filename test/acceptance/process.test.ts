/** The service as a process of its own: started, killed, started again, over HTTP alone. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))

type Running = {
  readonly child: ChildProcess
  readonly url: string
  readonly key: string | null
  readonly output: () => string
}

const folders: string[] = []
const children: ChildProcess[] = []

const makeFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'agemem-acceptance-'))
  folders.push(folder)
  return folder
}

const launch = (env: Record<string, string>): { child: ChildProcess; output: () => string } => {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts'], {
    cwd: root,
    env: {
      PATH: process.env.PATH ?? '',
      HOME: process.env.HOME ?? '',
      AGEMEM_PORT: '0',
      AGEMEM_LOG_LEVEL: 'warn',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (piece: Buffer) => {
      text += piece.toString()
    })
  return { child, output: () => text }
}

const ended = (child: ChildProcess): Promise<number | null> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve(child.exitCode)
    : new Promise((resolve) => child.once('exit', (code) => resolve(code)))

const start = async (env: Record<string, string>): Promise<Running> => {
  const { child, output } = launch(env)
  await expect.poll(() => output() + String(child.exitCode ?? ''), { timeout: 45_000 }).toMatch(/listening on|^\d$/m)
  const url = /listening on (\S+)/.exec(output())?.[1]
  if (url === undefined) throw new Error(`the service did not start:\n${output()}`)
  return { child, url, key: /tenant key: (\S+)/.exec(output())?.[1] ?? null, output }
}

const call = async (url: string, key: string, path: string, body?: object) => {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const init = body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) }
  return fetch(`${url}${path}`, { ...init, signal: AbortSignal.timeout(20_000) })
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe('the process', () => {
  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      await ended(child)
    }
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
  })

  it('M1: every write that was acknowledged survives kill -9 in the middle of writes, exactly once', async () => {
    const dataDir = await makeFolder()
    const first = await start({ AGEMEM_DATA_DIR: dataDir })
    const key = first.key ?? ''
    const acknowledged = new Set<string>()
    const write = async (worker: number) => {
      for (let at = 0; ; at += 1) {
        const content = `fact ${worker}-${at}`
        const response = await call(first.url, key, '/v1/agents/a/memories', { content }).catch(() => null)
        if (response === null) return
        if (response.status === 201) acknowledged.add(content)
      }
    }
    const writers = Promise.all([0, 1, 2, 3].map(write))
    await expect.poll(() => acknowledged.size, { timeout: 20_000 }).toBeGreaterThan(40)
    first.child.kill('SIGKILL')
    await writers
    await ended(first.child)

    const second = await start({ AGEMEM_DATA_DIR: dataDir })
    expect(second.key).toBeNull()
    const lines = (await (await call(second.url, key, '/v1/agents/a/memories/export')).text()).trim().split('\n')
    const stored = lines.map((line) => String(JSON.parse(line).content))
    expect(stored.filter((content) => acknowledged.has(content)).sort()).toEqual([...acknowledged].sort())
    second.child.kill('SIGTERM')
    expect(await ended(second.child)).toBe(0)
  })

  it('stops on SIGTERM with exit code 0, and its database with it', async () => {
    const running = await start({ AGEMEM_DATA_DIR: await makeFolder(), AGEMEM_LOG_LEVEL: 'info' })
    const postgresPid = Number(/"postgresPid":(\d+)/.exec(running.output())?.[1])
    expect(isAlive(postgresPid)).toBe(true)
    running.child.kill('SIGTERM')
    expect(await ended(running.child)).toBe(0)
    await expect.poll(() => isAlive(postgresPid)).toBe(false)
  })

  it('says that the port is taken and exits with 1', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const { child, output } = launch({ AGEMEM_DATA_DIR: await makeFolder(), AGEMEM_PORT: String(port) })
    expect(await ended(child)).toBe(1)
    expect(output()).toContain(`Port ${port} on 127.0.0.1 is taken`)
    server.close()
  })

  it('lists every mistake of its configuration in one message, and exits with 1', async () => {
    const { child, output } = launch({ AGEMEM_PORT: 'x', AGEMEM_LOG_LEVEL: 'loud', AGEMEM_DATA_DIRR: '/tmp' })
    expect(await ended(child)).toBe(1)
    for (const mistake of ['AGEMEM_PORT', 'AGEMEM_LOG_LEVEL', 'did you mean AGEMEM_DATA_DIR?'])
      expect(output()).toContain(mistake)
  })
})
