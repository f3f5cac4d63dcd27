/**
 * How many files and sockets this process may have open. Below what it needs at its busiest, clients are refused and the
 * database is out of reach just then, so a start says so beforehand.
 */
import { readFile } from 'node:fs/promises'
import type { Logger } from 'pino'

/** Modules, logs, timers' and threads' own, the index, the embedder and the model server. */
const ownFiles = 128

export type FilesNeeded = { readonly requests: number; readonly databaseConnections: number }

/** Null: there is no limit, or the system does not tell. */
export const parseOpenFilesMax = (limits: string): number | null => {
  const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(limits) ?? []
  return soft === undefined || soft === 'unlimited' ? null : Number(soft)
}

export const countFilesNeeded = ({ requests, databaseConnections }: FilesNeeded): number =>
  requests + databaseConnections + ownFiles

/** Warns; it does not refuse, since a small deployment may never be that busy. */
export const warnOfFewFiles = async (needed: FilesNeeded, logger: Logger): Promise<void> => {
  const filesMax = parseOpenFilesMax(await readFile('/proc/self/limits', 'utf8').catch(() => ''))
  const filesNeeded = countFilesNeeded(needed)
  if (filesMax === null || filesMax >= filesNeeded) return
  logger.warn(
    { filesMax, filesNeeded, ...needed },
    'the limit of open files is below what the settings may need: raise it (ulimit -n, LimitNOFILE, nofile), ' +
      'or lower AGEMEM_REQUESTS_IN_FLIGHT_MAX and AGEMEM_POOL_MAX',
  )
}
