/** Finds and reads data sets under a folder that the user names. What is missing or malformed is said by name. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Static, TSchema } from 'typebox'
import { Value } from 'typebox/value'

/** The data folder cannot be used; the message says which file is wanted, or what is wrong with it. */
export class DataError extends Error {
  override readonly name = 'DataError'
}

/** `value` as the schema's type. @throws DataError with the place of the first fault */
export const checkData = <Schema extends TSchema>(schema: Schema, value: unknown, name: string): Static<Schema> => {
  if (Value.Check(schema, value)) return value as Static<Schema>
  const [fault] = Value.Errors(schema, value)
  throw new DataError(
    `${name} does not look as expected: ${fault?.instancePath || 'the whole of it'} ${fault?.message ?? ''}`,
  )
}

/** @throws DataError naming file and line */
export const parseJson = (text: string, name: string): unknown => {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new DataError(`${name} is not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** One value a line; blank lines are skipped. */
export const parseJsonLines = (text: string, name: string): readonly unknown[] =>
  text
    .split('\n')
    .map((line, index) => ({ line, place: `${name}, line ${index + 1},` }))
    .filter(({ line }) => line.trim() !== '')
    .map(({ line, place }) => parseJson(line, place))

export type DataFile = { readonly name: string; readonly text: string }

export type WantedFiles = {
  readonly folder: string
  readonly pattern: RegExp
  /** For the message when there is none: what to put there and where it comes from. */
  readonly advice: string
}

/** Every file of the folder whose name fits, by name; at least one. @throws DataError when there is none */
export const readDataFiles = async (
  dataDir: string,
  { folder, pattern, advice }: WantedFiles,
): Promise<readonly DataFile[]> => {
  const path = join(dataDir, folder)
  const names = await readdir(path).catch(() => null)
  if (names === null) throw new DataError(`The folder ${path} is missing. ${advice}`)
  const fitting = names.filter((name) => pattern.test(name)).sort()
  if (fitting.length === 0) throw new DataError(`${path} holds no file with a name like ${pattern.source}. ${advice}`)
  return Promise.all(fitting.map(async (name) => ({ name, text: await readFile(join(path, name), 'utf8') })))
}

/** Without later items that have the id of an earlier one: several files may overlap. */
export const uniqueBy = <T>(items: readonly T[], idOf: (item: T) => string): readonly T[] =>
  [...new Map(items.toReversed().map((item) => [idOf(item), item])).values()].toReversed()
