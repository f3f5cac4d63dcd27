/**
 * One service per data folder, held by files. Each contender writes a claim under a name of its own, then looks at all
 * the others: a dead one is removed (names are never used again, so nobody's fresh claim can be meant); to one that
 * holds the folder, or has a lower name, it yields; for one with a higher name it waits, until that yields or is found
 * to hold. With nobody left it marks its claim as held. Invariants: never two holders, since of any two the later to
 * look sees the other; of many that start at once one wins; waits go to higher names only, so none is for ever.
 *
 * A claim names its pid and the moment that process started (a pid is used anew, the pair is not), on which machine and
 * in which pid namespace. One of another container or an earlier boot cannot be looked up, so every owner also touches
 * its claim every few seconds, and one left alone for longer than `staleAfterMs` is dead.
 */
import { randomUUID } from 'node:crypto'
import { readdir, readFile, readlink, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { codeOf, embeddedFailed, isGoneError } from './embedded-failure.ts'
import { inspectProcess, waitUntil } from './embedded-process.ts'

const prefix = 'postgres.lock-'
const touchEveryMs = 5_000
const staleAfterMs = 15_000
const contestTimeoutMs = 30_000

export type OwnerLock = { release(): Promise<void> }

type Claim = { readonly pid: number; readonly startedAt: string; readonly machine: string; readonly isHeld: boolean }
/** A claim that is being written cannot be read yet. */
type Seen = { readonly claim: Claim | undefined; readonly touchedAt: number }
type Contest = { readonly machine: string; readonly ownPath: string; readonly signal: AbortSignal | undefined }

/** Where the system does not tell it at all, the value; when it cannot be read just now, nobody must be told wrong. */
const unlessHidden =
  (value: string) =>
  (error: unknown): string => {
    if (isGoneError(error) || codeOf(error) === 'EACCES' || codeOf(error) === 'EPERM') return value
    throw error
  }

const describeMachine = async (): Promise<string> => {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(unlessHidden(hostname()))
  return `${boot.trim()} ${await readlink('/proc/self/ns/pid').catch(unlessHidden(''))}`
}

const parseClaim = (text: string): Claim | undefined => {
  try {
    return JSON.parse(text) as Claim
  } catch {
    return undefined
  }
}

const readClaim = async (path: string): Promise<Seen | undefined> => {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)])
    return { claim: parseClaim(text), touchedAt: mtimeMs }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

type Standing = 'alive' | 'dead' | 'unknown'

const judge = async (now: Seen, { first, machine }: { first: Seen; machine: string }): Promise<Standing> => {
  if (now.claim?.machine === machine) {
    const { pid, startedAt } = now.claim
    return inspectProcess(pid).then(
      (facts) => (facts?.startedAt === startedAt ? 'alive' : 'dead'),
      () => 'unknown',
    )
  }
  if (now.touchedAt !== first.touchedAt) return 'alive'
  return Date.now() - now.touchedAt > staleAfterMs ? 'dead' : 'unknown'
}

/** @throws AppError when the claim at `path` goes first */
const outlast = async (path: string, { machine, ownPath, signal }: Contest): Promise<void> => {
  const first = await readClaim(path)
  const isOver = async () => {
    const now = await readClaim(path)
    if (first === undefined || now === undefined) return true
    const standing = await judge(now, { first, machine })
    if (standing === 'dead') await rm(path, { force: true })
    if (standing === 'alive' && now.claim && (now.claim.isHeld || path < ownPath)) throw inUse(path, now.claim)
    return standing === 'dead'
  }
  if (!(await waitUntil(isOver, { timeoutMs: contestTimeoutMs, signal }))) throw inUse(path, first?.claim)
}

const inUse = (path: string, claim: Claim | undefined) =>
  embeddedFailed(
    `Another service (pid ${claim?.pid ?? 'unknown'}, by ${path}) uses this data folder: ` +
      'stop it, give this one its own AGEMEM_DATA_DIR',
  )

/** @throws AppError database.embedded_failed while another live service holds the folder */
export const acquireOwnerLock = async (dataDir: string, signal?: AbortSignal): Promise<OwnerLock> => {
  const machine = await describeMachine()
  const startedAt = (await inspectProcess(process.pid))?.startedAt ?? ''
  const ownPath = join(dataDir, `${prefix}${randomUUID()}`)
  const mark = (isHeld: boolean, flag: 'wx' | 'w') =>
    writeFile(ownPath, JSON.stringify({ pid: process.pid, startedAt, machine, isHeld }), { flag, mode: 0o600 })
  const touch = () => utimes(ownPath, new Date(), new Date()).catch(() => undefined)
  const timer = setInterval(touch, touchEveryMs).unref()
  const release = async () => {
    clearInterval(timer)
    await rm(ownPath, { force: true })
  }
  try {
    await mark(false, 'wx')
    const paths = (await readdir(dataDir)).filter((name) => name.startsWith(prefix)).map((name) => join(dataDir, name))
    for (const path of paths) if (path !== ownPath) await outlast(path, { machine, ownPath, signal })
    await mark(true, 'w')
    return { release }
  } catch (error) {
    await release().catch(() => undefined)
    throw error
  }
}
