/** PostgreSQL as the system's packages bring it, with the client programs that the embedded one lacks. */
import { execFile } from 'node:child_process'
import { chown, cp, mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const packages = '/usr/lib/postgresql'
const nobody = 65_534

export type SystemCluster = {
  /** For libpq and its programs. */
  readonly env: Readonly<Record<string, string>>
  urlOf(login: string): string
  stop(): Promise<void>
}

/** @throws when the machine lacks what the test is about */
export const findPrograms = async (): Promise<string> => {
  const versions = await readdir(packages).catch((): string[] => [])
  for (const version of versions.sort((one, other) => Number(other) - Number(one))) {
    const folder = join(packages, version, 'bin')
    const found = await readdir(folder).catch((): string[] => [])
    if (['initdb', 'pg_ctl', 'pg_dump', 'pg_restore', 'psql', 'createdb'].every((name) => found.includes(name)))
      return folder
  }
  throw new Error(
    `This test needs PostgreSQL's server and client programs of one version under ${packages} (Debian: postgresql-15).`,
  )
}

/** PostgreSQL does not run as root. */
const accountOf = (): { uid: number; gid: number } | undefined =>
  process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : undefined

export const initCluster = async (programs: string, folder: string): Promise<void> => {
  const account = accountOf()
  await mkdir(folder, { recursive: true })
  if (account) await chown(folder, account.uid, account.gid)
  const args = ['-D', join(folder, 'data'), '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '-N']
  await execute(join(programs, 'initdb'), args, { ...account, cwd: folder })
}

/** The same cluster, untouched, in a folder of its own. */
export const copyCluster = async (from: string, to: string): Promise<void> => {
  const { uid, gid } = await stat(join(from, 'data'))
  await mkdir(to)
  await chown(to, uid, gid)
  await cp(join(from, 'data'), join(to, 'data'), { recursive: true })
  if (accountOf()) await execute('chown', ['-R', `${uid}:${gid}`, to])
}

export const startCluster = async (programs: string, folder: string): Promise<SystemCluster> => {
  const account = accountOf()
  const data = join(folder, 'data')
  const pgCtl = (...args: string[]) =>
    execute(join(programs, 'pg_ctl'), ['-D', data, ...args], { ...account, cwd: folder })
  const options = `-k ${folder} -c listen_addresses= -c fsync=off`
  await pgCtl('-w', '-o', options, '-l', join(folder, 'log'), 'start').catch(async (error: unknown) => {
    throw new Error(await readFile(join(folder, 'log'), 'utf8').catch(() => ''), { cause: error })
  })
  return {
    env: { PGHOST: folder, PATH: `${programs}:${process.env.PATH ?? ''}` },
    urlOf: (login) => `postgresql://${login}@/agemem?host=${encodeURIComponent(folder)}`,
    stop: async () => {
      await pgCtl('-w', '-m', 'immediate', 'stop')
    },
  }
}
