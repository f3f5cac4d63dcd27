/**
 * What in a text of JSON is worth reading, as text: an object becomes `name: Hotel Avenida; nights: 3`, and what is long
 * or nested in it becomes a piece of its own. Ids, scores and other machine's words are left out: they say nothing, take
 * many tokens, and a model that reads an id in a summary may use it when it is no longer true.
 */
import { isJsonObject } from '../../shared/json-limits.ts'

const depthMax = 12
const piecesMax = 2_000
/** A longer value is a text of its own. */
const valueCharsMax = 120
const lineCharsMax = 240

/** The last words of keys whose values are for machines. */
const machineKeys = new Set(
  'id ids uuid guid hash checksum etag cursor token tokens score scores similarity similarities embedding vector signature'.split(
    ' ',
  ),
)
const machineValue =
  /^(?:[a-z]{2,8}_[0-9a-f]{8,}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{18,}|[0-9a-f]{16,}|[\w+/=-]{40,}|data:\S+)$/i

const wordsOfKey = (key: string): string =>
  key
    .replace(/(\p{Ll})(\p{Lu})/gu, '$1 $2')
    .replace(/[_-]+/g, ' ')
    .trim()

const isMachineKey = (key: string): boolean => {
  const words = wordsOfKey(key).toLowerCase()
  return machineKeys.has(words.slice(words.lastIndexOf(' ') + 1))
}

/** The text of a value that has no parts; null: nothing to read. */
const textOf = (value: unknown): string | null => {
  if (typeof value === 'number') return String(value)
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (typeof value !== 'string') return null
  const text = value.trim()
  return text === '' || machineValue.test(text) ? null : text
}

const isShort = (text: string): boolean => text.length <= valueCharsMax && !text.includes('\n')

const shortText = (value: unknown): string | null => {
  const text = textOf(value)
  return text !== null && isShort(text) ? text : null
}

/** `key: value` where it fits a line; null: the value wants pieces of its own. */
const fieldOf = (key: string, value: unknown): string | null => {
  const values = Array.isArray(value) ? value.map(shortText) : [shortText(value)]
  const joined = values.join(', ')
  if (values.length === 0 || values.includes(null) || joined.length > valueCharsMax) return null
  return `${wordsOfKey(key)}: ${joined}`
}

/** Fields of one object, with as many on a line as a summary can show. */
const linesOf = (fields: readonly (string | null)[]): readonly string[] => {
  const lines: string[] = []
  for (const field of fields) {
    if (field === null) continue
    const last = lines.at(-1)
    if (last !== undefined && last.length + field.length <= lineCharsMax) lines[lines.length - 1] = `${last}; ${field}`
    else lines.push(field)
  }
  return lines
}

/** The pieces of a JSON value in its order; a long text in it is one piece. */
export const jsonPieces = (value: unknown): readonly string[] => {
  const pieces: string[] = []
  const visit = (node: unknown, depth: number): void => {
    if (depth > depthMax || pieces.length >= piecesMax) return
    if (Array.isArray(node)) {
      for (const entry of node) visit(entry, depth + 1)
      return
    }
    if (!isJsonObject(node)) {
      const text = typeof node === 'string' ? textOf(node) : null
      if (text !== null) pieces.push(text)
      return
    }
    const entries = Object.entries(node).filter(([key]) => !isMachineKey(key))
    const fields = entries.map(([key, entry]) => fieldOf(key, entry))
    pieces.push(...linesOf(fields))
    for (const [index, [, entry]] of entries.entries()) if (fields[index] === null) visit(entry, depth + 1)
  }
  visit(value, 0)
  return pieces
}

const brokenField =
  /(["'])([^"'\\]{1,64})\1\s*:\s*(?:(["'])((?:(?!\3)[^\\]|\\.)*)\3|(-?\d[\d.]*|true|false|True|False))/g

const bareWords: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['false', false],
  ['True', true],
  ['False', false],
])

/** The fields that are whole in JSON that breaks off or is another language's. */
export const brokenJsonPieces = (text: string): readonly string[] => {
  const pieces: string[] = []
  for (const [, , key = '', , quoted, bare = ''] of text.matchAll(brokenField)) {
    if (pieces.length === piecesMax) break
    const value = textOf(quoted?.replace(/\\n/g, ' ').replace(/\\(.)/g, '$1') ?? bareWords.get(bare) ?? bare)
    if (value !== null && !isMachineKey(key)) pieces.push(`${wordsOfKey(key)}: ${value}`)
  }
  return pieces
}

export type JsonInText = {
  readonly before: string
  readonly json: string
  readonly value: unknown
  readonly after: string
}

/** Where JSON begins, as against a bracket in prose. */
const jsonStart = /^\s*[[{]|\{\s*["']|\[\s*\{/
const fenceBefore = /```\w*\s*$/
const fenceAfter = /^\s*```/

/** The JSON in a text with what stands around it. `value` undefined: there are its beginnings, but it cannot be read. */
export const findJson = (text: string): JsonInText | null => {
  const start = text.search(jsonStart)
  if (start < 0) return null
  const end = Math.max(text.lastIndexOf('}'), text.lastIndexOf(']')) + 1
  const whole = {
    before: text.slice(0, start).replace(fenceBefore, ''),
    json: text.slice(start),
    value: undefined,
    after: '',
  }
  if (end <= start) return whole
  const json = text.slice(start, end)
  try {
    const value: unknown = JSON.parse(json)
    return { ...whole, json, value, after: text.slice(end).replace(fenceAfter, '') }
  } catch {
    return whole
  }
}
