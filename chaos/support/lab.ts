/** Everything that one scenario starts: services, folders, mounts, stand-ins. `close` leaves nothing of it, whatever state it is in. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createProcesses, endOf, hasEnded } from '../../test/support/service-process.ts'
import { signalDatabase } from './cluster.ts'
import { createService, type Processes, type Service, type ServiceOptions } from './service.ts'
import { sleep } from './wait.ts'

const exec = promisify(execFile)
const stopMs = 25_000
const stopTries = 6

export type Lab = {
  /** A service of its own with an embedded database, unless the settings say otherwise. */
  start(options?: ServiceOptions): Promise<Service>
  makeFolder(): Promise<string>
  /** A small filesystem. @returns why not, where it may not be mounted */
  mountSmall(megabytes: number): Promise<{ readonly folder: string } | { readonly refusal: string }>
  /** Run when the scenario is over, last first. */
  defer(clean: () => Promise<unknown> | unknown): void
  close(): Promise<void>
}

const attempt = async (clean: () => Promise<unknown> | unknown): Promise<void> => {
  try {
    await clean()
  } catch {
    // What else is to be cleaned still has to be.
  }
}

/** Asks it to stop, and does not take no for an answer. */
const stopService = async (service: Service): Promise<void> => {
  await signalDatabase(service.dataDir, 'SIGCONT', 'all')
  const { child } = service
  if (!hasEnded(child)) {
    child.kill('SIGTERM')
    await Promise.race([endOf(child), sleep(stopMs, undefined, { ref: false })])
    if (!hasEnded(child)) process.kill(-(child.pid ?? 0), 'SIGKILL')
    await endOf(child)
  }
  // A service that was killed leaves its server running, and one that was killed early may have just launched it.
  for (let tries = 0; tries < stopTries && (await signalDatabase(service.dataDir, 'SIGINT')); tries += 1)
    await sleep(500)
  await signalDatabase(service.dataDir, 'SIGKILL', 'all')
}

export const createLab = (): Lab => {
  const processes = createProcesses()
  const cleaners: (() => Promise<unknown> | unknown)[] = []
  let closing: Promise<void> | null = null
  const defer = (clean: () => Promise<unknown> | unknown) => void cleaners.push(clean)

  const makeFolder = async (): Promise<string> => {
    const folder = await mkdtemp(join(tmpdir(), 'agemem-chaos-'))
    defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
    return folder
  }

  const start = async (options: ServiceOptions = {}): Promise<Service> => {
    const dataDir = options.dataDir ?? (await makeFolder())
    const hookFolder = await makeFolder()
    const files = { loop: join(hookFolder, 'loop'), clock: join(hookFolder, 'clock') }
    for (const file of Object.values(files)) await writeFile(file, '')
    const launch: Processes['launch'] = (launching) => {
      if (closing !== null) throw new Error('The run is being broken off.')
      return processes.launch(launching)
    }
    const service = createService(
      { launch },
      {
        ...options,
        dataDir,
        files,
        operatorKey: `agmop_${randomBytes(24).toString('hex')}`,
      },
    )
    defer(() => stopService(service))
    await service.begin()
    return service
  }

  const mountSmall: Lab['mountSmall'] = async (megabytes) => {
    const folder = await makeFolder()
    try {
      await exec('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0755`, 'tmpfs', folder])
    } catch (error) {
      return { refusal: String((error as { stderr?: string }).stderr ?? error).trim() }
    }
    defer(async () => {
      await exec('umount', [folder]).catch(() => exec('umount', ['-l', folder]))
    })
    return { folder }
  }

  const close = (): Promise<void> => {
    closing ??= (async () => {
      for (const clean of cleaners.splice(0).reverse()) await attempt(clean)
      await Promise.race([attempt(processes.end), sleep(stopMs, undefined, { ref: false })])
    })()
    return closing
  }

  return { start, makeFolder, mountSmall, defer, close }
}
