/** The service as a process of its own, over HTTP alone. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))

export type Running = {
  readonly child: ChildProcess
  readonly url: string
  readonly key: string | null
  readonly output: () => string
}

const folders: string[] = []
const children: ChildProcess[] = []

export const makeFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'agemem-acceptance-'))
  folders.push(folder)
  return folder
}

export const launch = (env: Record<string, string>): { child: ChildProcess; output: () => string } => {
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

export const ended = (child: ChildProcess): Promise<number | null> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve(child.exitCode)
    : new Promise((resolve) => child.once('exit', (code) => resolve(code)))

export const start = async (env: Record<string, string>): Promise<Running> => {
  const { child, output } = launch(env)
  await expect.poll(() => output() + String(child.exitCode ?? ''), { timeout: 45_000 }).toMatch(/listening on|^\d$/m)
  const url = /listening on (\S+)/.exec(output())?.[1]
  if (url === undefined) throw new Error(`the service did not start:\n${output()}`)
  return { child, url, key: /tenant key: (\S+)/.exec(output())?.[1] ?? null, output }
}

export const call = async (url: string, key: string, path: string, body?: object) => {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const init = body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) }
  return fetch(`${url}${path}`, { ...init, signal: AbortSignal.timeout(20_000) })
}

/** Ends every process that was launched, and removes what they wrote. */
export const cleanUpProcesses = async (): Promise<void> => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    await ended(child)
  }
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
}
