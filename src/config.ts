/**
 * The settings of the service, and the only place that reads the environment. Each setting is declared once, with its
 * name, meaning, unit and default; documentation and deployment files are checked against `configKeys`. A start with
 * mistakes stops with all of them in one message, and no message ever holds the value of a secret.
 */
import type { ConfigKey, Reading, Setting } from './config/setting.ts'
import { settings } from './config/settings.ts'
import { AppError } from './shared/errors.ts'
import { nearestOf } from './shared/nearest.ts'

type Settings = typeof settings
export type Config = {
  readonly [Name in keyof Settings]: Settings[Name] extends Setting<infer Value> ? Value : never
}

export const configKeys: readonly ConfigKey[] = Object.values(settings).map(({ key }) => key)

/** A setting that means nothing without another one. */
const dependencies = [
  ['AGEMEM_EMBEDDER_URL', 'AGEMEM_EMBEDDER_MODEL'],
  ['AGEMEM_VLLM_URL', 'AGEMEM_VLLM_MODEL'],
  ['AGEMEM_DATABASE_OWNER_URL', 'AGEMEM_DATABASE_URL'],
  ['AGEMEM_DATABASE_BACKGROUND_URL', 'AGEMEM_DATABASE_URL'],
] as const

type Environment = Readonly<Record<string, string | undefined>>

const isGiven = (env: Environment, name: string): boolean => (env[name] ?? '') !== ''

const unknownKeyMistakes = (env: Environment): readonly string[] => {
  const names = configKeys.map(({ name }) => name)
  return Object.keys(env)
    .filter((name) => name.startsWith('AGEMEM_') && !names.includes(name))
    .map((name) => {
      const nearest = nearestOf(name, names)
      return `${name} is not a setting${nearest === null ? '' : `; did you mean ${nearest}?`}`
    })
}

const readSetting = (env: Environment, { key, fallback, read }: Setting<unknown>): Reading<unknown> => {
  if (!isGiven(env, key.name)) return { value: fallback }
  const given = env[key.name] ?? ''
  const reading = read(given)
  if ('value' in reading) return reading
  return {
    mistake: `${key.name} ${reading.mistake}${key.isSecret ? '' : `, not ${JSON.stringify(given.slice(0, 80))}`}`,
  }
}

/**
 * Reads and checks every setting; an empty value counts as absent. The result is frozen.
 * @throws AppError `config.invalid` with every mistake in its detail
 */
export const loadConfig = (env: Environment = process.env): Config => {
  const readings = Object.entries(settings).map(([name, setting]) => [name, readSetting(env, setting)] as const)
  const mistakes = [
    ...readings.flatMap(([, reading]) => ('mistake' in reading ? [reading.mistake] : [])),
    ...dependencies
      .filter(([name, needed]) => isGiven(env, name) && !isGiven(env, needed))
      .map(([name, needed]) => `${name} needs ${needed} beside it`),
    ...unknownKeyMistakes(env),
  ]
  if (mistakes.length > 0)
    throw new AppError({
      code: 'config.invalid',
      status: 500,
      detail: `The configuration cannot be used:\n${mistakes.map((mistake) => `- ${mistake}`).join('\n')}`,
    })
  return Object.freeze(
    Object.fromEntries(readings.map(([name, reading]) => [name, 'value' in reading ? reading.value : null])),
  ) as Config
}
