/**
 * Large values as JSON, piece by piece: `JSON.stringify` cannot be interrupted, and megabytes of it keep everybody
 * waiting. What small things stand side by side is written together, so the pieces cost next to nothing more. The text is
 * the one that `JSON.stringify` gives, of values without `toJSON`. The depth is to be bounded.
 */
import type { Steps } from './yielding.ts'

/** Of a piece, in characters; only a text that is longer in itself makes a longer one. */
const pieceCharacters = 16_384
/** What a value that is no text counts for: a number, a bracket. */
const scalarCharacters = 4

const isContainer = (value: unknown): value is object => typeof value === 'object' && value !== null

/** At least so many characters does the value's JSON have; the look ends where they are `max`. */
const sizeUpTo = (value: unknown, max: number): number => {
  const waiting: unknown[] = [value]
  let size = 0
  while (waiting.length > 0 && size < max) {
    const next = waiting.pop()
    size += typeof next === 'string' ? next.length : scalarCharacters
    if (!isContainer(next)) continue
    const children: readonly unknown[] = Array.isArray(next) ? next : Object.values(next)
    // More than `max` has room for need no look.
    for (let at = 0; at < children.length && at * scalarCharacters < max; at += 1) waiting.push(children[at])
  }
  return size
}

/** Is the value's JSON so long that it is to be written in pieces? */
export const isLargeJson = (value: unknown): boolean => sizeUpTo(value, 4 * pieceCharacters) >= 4 * pieceCharacters

/** What `JSON.stringify` leaves out of objects. */
const isAbsent = (value: unknown): boolean => value === undefined || typeof value === 'function'

/** The members of one object, or the items of one array, that are written together. */
type Group = { readonly names: string[]; readonly values: unknown[]; size: number }

const textOf = ({ names, values }: Group, isArray: boolean): string => {
  const together = isArray ? values : Object.fromEntries(names.map((name, at) => [name, values[at]]))
  return JSON.stringify(together).slice(1, -1)
}

function* writeContainer(node: object, pieces: string[]): Steps<void> {
  const isArray = Array.isArray(node)
  const names = isArray ? null : Object.keys(node).filter((name) => !isAbsent((node as Record<string, unknown>)[name]))
  const length = names?.length ?? (node as readonly unknown[]).length
  let group: Group = { names: [], values: [], size: 0 }
  let lead = isArray ? '[' : '{'
  const flush = (): void => {
    if (group.values.length === 0) return
    pieces.push(lead + textOf(group, isArray))
    lead = ','
    group = { names: [], values: [], size: 0 }
  }
  for (let at = 0; at < length; at += 1) {
    const name = names?.[at] ?? String(at)
    const value = (node as Readonly<Record<string, unknown>>)[name]
    const size = sizeUpTo(value, pieceCharacters)
    if (isContainer(value) && size >= pieceCharacters) {
      flush()
      pieces.push(isArray ? lead : `${lead}${JSON.stringify(name)}:`)
      lead = ','
      yield* writeContainer(value, pieces)
      continue
    }
    group.names.push(name)
    group.values.push(value)
    group.size += size
    if (group.size < pieceCharacters) continue
    flush()
    yield
  }
  flush()
  pieces.push(`${lead === ',' ? '' : lead}${isArray ? ']' : '}'}`)
}

/** The pieces of the value's JSON, in order. */
export function* jsonSteps(value: object): Steps<readonly string[]> {
  const pieces: string[] = []
  yield* writeContainer(value, pieces)
  return pieces
}
