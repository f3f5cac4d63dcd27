/** The deployment files as data. */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'

export const projectFolder = new URL('../../..', import.meta.url)

export const readProjectFile = (path: string): string => readFileSync(new URL(path, projectFolder), 'utf8')

export type ComposeService = {
  readonly image?: string
  readonly build?: string
  readonly profiles?: readonly string[]
  readonly command?: readonly string[]
  readonly environment: Readonly<Record<string, string | null>>
  readonly ports?: readonly string[]
  readonly networks: readonly string[]
  readonly restart: string
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly depends_on?: Readonly<Record<string, { readonly condition: string; readonly required?: boolean }>>
  readonly volumes?: readonly string[]
  readonly deploy: {
    readonly resources: {
      readonly limits?: { readonly memory: string }
      readonly reservations?: { readonly devices: readonly { readonly capabilities: readonly string[] }[] }
    }
  }
}

export type Compose = {
  readonly services: Readonly<Record<string, ComposeService>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>
  readonly volumes: Readonly<Record<string, unknown>>
  readonly configs: Readonly<Record<string, { readonly content: string }>>
}

export const readCompose = (): Compose => parse(readProjectFile('docker-compose.yml'), { merge: false })

export type EnvironmentEntry = { readonly name: string; readonly value: string; readonly isActive: boolean }

export const readEnvironmentExample = (): readonly EnvironmentEntry[] =>
  [...readProjectFile('.env.example').matchAll(/^(#?)([A-Z][A-Z0-9_]*)=(.*)$/gm)].map(
    ([, mark = '', name = '', value = '']) => ({ name, value, isActive: mark === '' }),
  )

export type Instruction = { readonly keyword: string; readonly rest: string }

/** Each stage of the Dockerfile begins with its FROM; what stands before the first is left out. */
export const readDockerfileStages = (): readonly (readonly Instruction[])[] => {
  const lines = readProjectFile('Dockerfile')
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
  const stages: Instruction[][] = []
  for (const line of lines) {
    const [, keyword, rest] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? []
    if (keyword === undefined || rest === undefined) continue
    if (keyword === 'FROM') stages.push([])
    stages.at(-1)?.push({ keyword, rest })
  }
  return stages
}
