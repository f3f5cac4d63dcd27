import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { configKeys } from '../../../src/config.ts'
import { projectFolder, readDockerfileStages, readProjectFile } from './deployment-files.ts'

const stages = readDockerfileStages()
const last = stages.at(-1) ?? []
const restOf = (keyword: string) =>
  last.filter((instruction) => instruction.keyword === keyword).map(({ rest }) => rest)
const manifest = JSON.parse(readProjectFile('package.json')) as { version: string }

/** What is copied from the project, not from another stage. */
const copiedFiles = stages.flat().flatMap(({ keyword, rest }) => {
  if (keyword !== 'COPY' || rest.startsWith('--from=')) return []
  return rest.split(' ').slice(0, -1)
})

describe('the image', () => {
  test('is built in stages, from a Node.js with long-term support', () => {
    expect(readProjectFile('Dockerfile')).toMatch(/^ARG NODE_IMAGE=node:24-bookworm-slim$/m)
    expect(stages.map(([from]) => from?.rest)).toEqual([
      `\${NODE_IMAGE} AS build`,
      `\${NODE_IMAGE} AS dependencies`,
      `\${NODE_IMAGE} AS service`,
    ])
  })

  test('installs by npm from the lock file, and runs nobody else’s install scripts', () => {
    const runs = stages.flat().filter(({ keyword }) => keyword === 'RUN')
    for (const { rest } of runs) {
      expect(rest).not.toMatch(/curl|wget|apt|npm i(nstall)?\b/)
      if (rest.includes('npm ci')) expect(rest).toContain('--ignore-scripts')
    }
    const dependencies = stages[1]?.find(({ keyword }) => keyword === 'RUN')
    expect(dependencies?.rest).toMatch(/^npm ci --omit=dev --omit=optional /)
  })

  test('runs as an ordinary user that cannot change the program', () => {
    expect(restOf('USER')).toEqual(['node'])
    expect(restOf('COPY').filter((rest) => rest.includes('--chown'))).toEqual([])
  })

  test('tells whether the service is ready, without a tool of the system', () => {
    const [check = ''] = restOf('HEALTHCHECK')
    const command = JSON.parse(check.slice(check.indexOf('['))) as string[]
    expect(command.slice(0, 2)).toEqual(['node', '-e'])
    expect(command[2]).toContain('/health/ready')
    expect(command[2]).toContain('AbortSignal.timeout')
  })

  test('listens on every address of the container, on the port that it exposes', () => {
    const environment = Object.fromEntries((restOf('ENV')[0] ?? '').split(/\s+/).map((pair) => pair.split('=', 2)))
    expect(environment).toMatchObject({ NODE_ENV: 'production', AGEMEM_HOST: '0.0.0.0', AGEMEM_PORT: '8080' })
    expect(restOf('EXPOSE')).toEqual(['8080'])
    const settings = configKeys.map(({ name }) => name)
    const used = Object.keys(environment).filter((name) => name.startsWith('AGEMEM_'))
    expect(used.filter((name) => !settings.includes(name))).toEqual([])
  })

  test('has the migrations where the compiled program looks for them', () => {
    expect(restOf('WORKDIR')).toEqual(['/app'])
    expect(restOf('COPY')).toContain('--from=build /app/dist ./dist')
    expect(restOf('COPY')).toContain('migrations ./migrations')
    const compiled = new URL('file:///app/dist/drivers/database/migrate.js')
    const [, path = ''] =
      /new URL\('(.*)', import\.meta\.url\)/.exec(readProjectFile('src/drivers/database/migrate.ts')) ?? []
    expect(new URL(path, compiled).pathname).toBe('/app/migrations')
    expect(restOf('CMD').at(-1)).toBe('["node", "dist/main.js"]')
  })

  test('holds nothing that is to be kept', () => {
    expect(restOf('VOLUME')).toEqual([])
  })

  test('says what it is, at the version of the package', () => {
    expect(restOf('ARG')).toEqual([`VERSION=${manifest.version}`])
    for (const label of ['title', 'description', 'licenses', 'version'])
      expect(restOf('LABEL').join()).toContain(`org.opencontainers.image.${label}=`)
  })

  test('is given the files that it copies and no others', () => {
    expect(copiedFiles.length).toBeGreaterThan(0)
    expect(copiedFiles.filter((path) => !existsSync(new URL(path, projectFolder)))).toEqual([])
    const lines = readProjectFile('.dockerignore').split('\n')
    const allowed = lines.flatMap((line) => (line.startsWith('!') ? [line.slice(1)] : []))
    expect(lines).toContain('*')
    const copied = copiedFiles.map((path) => path.replace(/^\.\//, ''))
    expect(new Set(allowed)).toEqual(new Set(copied))
  })
})
