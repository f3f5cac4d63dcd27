/**
 * Reads one JSON object or array out of a model's text. Besides JSON it takes what small models write instead and what can
 * only mean one thing: single quotes, True, False and None, a comma before a closing bracket, line breaks inside strings,
 * backslashes that begin no escape (loose-strings.ts). A number that would not be kept as it is written is taken as text:
 * `01234`, or an id of 19 digits.
 * It never adds what is missing: JSON that breaks off or lacks a bracket or quote is refused, since the rest of a call is
 * not ours to guess. One pass from left to right, each character looked at once; the nesting is bounded.
 */
import { isExactNumber } from '../../shared/exact-numbers.ts'
import { decodeString } from './loose-strings.ts'

export const looseDepthMax = 40
/** More than the 32 calls of a step can have, with metadata of full size in each. */
const valuesMax = 150_000
/** Of all objects together: a member with a name of its own costs as much as ten values. */
const membersMax = 20_000

/** How the text departed from JSON, in the words of violations.ts. */
export type LooseNote = 'loose_json' | 'bare_backslash' | 'number_as_text'

export type LooseJson =
  | { readonly ok: true; readonly value: unknown; readonly end: number; readonly notes: ReadonlySet<LooseNote> }
  /** `open_string`: the text ended inside a string, so that a longer text may be good. */
  | { readonly ok: false; readonly reason: 'open_string' | 'syntax' }

class LooseJsonError extends Error {
  override readonly name = 'LooseJsonError'
  readonly reason: 'open_string' | 'syntax'

  constructor(reason: 'open_string' | 'syntax') {
    super(reason)
    this.reason = reason
  }
}

// Made once: a stack trace for each fault would cost more than the reading.
const openString = new LooseJsonError('open_string')
const syntaxFault = new LooseJsonError('syntax')

type Cursor = {
  readonly text: string
  readonly notes: Set<LooseNote>
  at: number
  depth: number
  values: number
  members: number
}

const numberToken = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const hasLeadingZero = /^-?0\d/
const wordToken = /[A-Za-z]+/y
const spaceToken = /\s*/y

const words: ReadonlyMap<string, boolean | null> = new Map([
  ['true', true],
  ['false', false],
  ['null', null],
  ['True', true],
  ['False', false],
  ['None', null],
])

const take = (cursor: Cursor, token: RegExp): string => {
  token.lastIndex = cursor.at
  const [match = ''] = token.exec(cursor.text) ?? []
  cursor.at += match.length
  return match
}

/** The next character that is not white space, not yet taken; empty at the end. */
const peek = (cursor: Cursor): string => {
  const next = cursor.text.charCodeAt(cursor.at)
  // Nearly always there is no white space, and asking the pattern would take most of the time of reading.
  if (!(next > 0x20 && next < 0x80)) take(cursor, spaceToken)
  return cursor.text[cursor.at] ?? ''
}

const expectNext = (cursor: Cursor, character: string): void => {
  if (peek(cursor) !== character) throw syntaxFault
  cursor.at += 1
}

const [tab, newline, carriageReturn, backslash] = [0x09, 0x0a, 0x0d, 0x5c]

/** The place of the quote that ends the string which begins at `start`. */
const endOfString = (cursor: Cursor, start: number, quote: number): number => {
  const { text } = cursor
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === quote) return at
    // A backslash, and what it escapes.
    if (code === backslash) at += 1
    else if (code === newline || code === carriageReturn || code === tab) cursor.notes.add('loose_json')
  }
  throw openString
}

const readString = (cursor: Cursor, quote: '"' | "'"): string => {
  if (quote === "'") cursor.notes.add('loose_json')
  const start = cursor.at + 1
  cursor.at = endOfString(cursor, start, quote.charCodeAt(0))
  const { text, notes } = decodeString(cursor.text.slice(start, cursor.at))
  for (const note of notes) cursor.notes.add(note)
  cursor.at += 1
  return text
}

const [minus, zero, nine] = [0x2d, 0x30, 0x39]

const readScalar = (cursor: Cursor): unknown => {
  const first = cursor.text.charCodeAt(cursor.at)
  const word = first === minus || (first >= zero && first <= nine) ? '' : take(cursor, wordToken)
  const value = words.get(word)
  if (value !== undefined) {
    if (word[0] === 'T' || word[0] === 'F' || word[0] === 'N') cursor.notes.add('loose_json')
    return value
  }
  const digits = word === '' ? take(cursor, numberToken) : ''
  if (digits === '') throw syntaxFault
  if (hasLeadingZero.test(digits) || !isExactNumber(digits)) {
    cursor.notes.add('number_as_text')
    return digits
  }
  // No minus zero: it would not survive being written out.
  return Number(digits) + 0
}

/** Reads what stands between brackets, with `readOne` for each part. */
const readParts = <T>(cursor: Cursor, { close, readOne }: { close: string; readOne: () => T }): T[] => {
  cursor.at += 1
  cursor.depth += 1
  if (cursor.depth > looseDepthMax) throw syntaxFault
  const parts: T[] = []
  while (peek(cursor) !== close) {
    parts.push(readOne())
    if (peek(cursor) === close) break
    expectNext(cursor, ',')
    if (peek(cursor) === close) cursor.notes.add('loose_json')
  }
  cursor.at += 1
  cursor.depth -= 1
  return parts
}

const readMember = (cursor: Cursor): [string, unknown] => {
  cursor.members += 1
  if (cursor.members > membersMax) throw syntaxFault
  const quote = peek(cursor)
  if (quote !== '"' && quote !== "'") throw syntaxFault
  const key = readString(cursor, quote)
  expectNext(cursor, ':')
  return [key, readValue(cursor)]
}

const readValue = (cursor: Cursor): unknown => {
  cursor.values += 1
  if (cursor.values > valuesMax) throw syntaxFault
  const first = peek(cursor)
  if (first === '"' || first === "'") return readString(cursor, first)
  if (first === '[') return readParts(cursor, { close: ']', readOne: () => readValue(cursor) })
  // fromEntries makes own properties of all keys, `__proto__` too, as JSON.parse does.
  if (first === '{') return Object.fromEntries(readParts(cursor, { close: '}', readOne: () => readMember(cursor) }))
  return readScalar(cursor)
}

/** The value that begins at `start`, and where it ends. Never throws. */
export const readLooseJson = (text: string, start = 0): LooseJson => {
  const cursor: Cursor = { text, notes: new Set(), at: start, depth: 0, values: 0, members: 0 }
  try {
    const value = readValue(cursor)
    return { ok: true, value, end: cursor.at, notes: cursor.notes }
  } catch (error) {
    if (error instanceof LooseJsonError) return { ok: false, reason: error.reason }
    throw error
  }
}
