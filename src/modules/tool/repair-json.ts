/**
 * Reads one JSON object or array out of a model's text. Besides JSON it takes what small models write instead and what can
 * only mean one thing: single quotes, True, False and None, a comma before a closing bracket, line breaks inside strings.
 * It never adds what is missing: JSON that breaks off or lacks a bracket or quote is refused, since the rest of a call is
 * not ours to guess. One pass from left to right, each character looked at once; the nesting is bounded.
 */
export const looseDepthMax = 40
/** More than the 32 calls of a step can have, with metadata of full size in each. */
const valuesMax = 150_000
/** Of all objects together: a member with a name of its own costs as much as ten values. */
const membersMax = 20_000

export type LooseJson =
  | { readonly ok: true; readonly value: unknown; readonly end: number; readonly isMended: boolean }
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

type Cursor = { readonly text: string; at: number; depth: number; values: number; members: number; isMended: boolean }

const plainText = { '"': /[^"\\]*/y, "'": /[^'\\]*/y } as const
const numberToken = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const wordToken = /[A-Za-z]+/y
const spaceToken = /\s*/y
const hexToken = /[0-9a-fA-F]{4}/y

const words: ReadonlyMap<string, boolean | null> = new Map([
  ['true', true],
  ['false', false],
  ['null', null],
  ['True', true],
  ['False', false],
  ['None', null],
])

const escapes: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['t', '\t'],
  ['r', '\r'],
  ['b', '\b'],
  ['f', '\f'],
  ['/', '/'],
  ['\\', '\\'],
  ['"', '"'],
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

const readEscape = (cursor: Cursor): string => {
  const letter = cursor.text[cursor.at] ?? ''
  if (letter === '') throw openString
  cursor.at += 1
  const hex = letter === 'u' ? take(cursor, hexToken) : ''
  if (hex !== '') return String.fromCharCode(Number.parseInt(hex, 16))
  const meant = escapes.get(letter)
  if (meant === undefined) cursor.isMended = true
  return meant ?? letter
}

const readString = (cursor: Cursor, quote: '"' | "'"): string => {
  if (quote === "'") cursor.isMended = true
  cursor.at += 1
  const parts: string[] = []
  for (;;) {
    const plain = take(cursor, plainText[quote])
    if (/[\n\r\t]/.test(plain)) cursor.isMended = true
    parts.push(plain)
    const stop = cursor.text[cursor.at]
    if (stop === undefined) throw openString
    cursor.at += 1
    if (stop === quote) return parts.join('')
    parts.push(readEscape(cursor))
  }
}

const [minus, zero, nine] = [0x2d, 0x30, 0x39]

const readScalar = (cursor: Cursor): unknown => {
  const first = cursor.text.charCodeAt(cursor.at)
  const word = first === minus || (first >= zero && first <= nine) ? '' : take(cursor, wordToken)
  const value = words.get(word)
  if (value !== undefined) {
    if (word[0] === 'T' || word[0] === 'F' || word[0] === 'N') cursor.isMended = true
    return value
  }
  const digits = word === '' ? take(cursor, numberToken) : ''
  const number = Number(digits)
  if (digits === '' || !Number.isFinite(number)) throw syntaxFault
  // No minus zero: it would not survive being written out.
  return number + 0
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
    if (peek(cursor) === close) cursor.isMended = true
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
  const cursor: Cursor = { text, at: start, depth: 0, values: 0, members: 0, isMended: false }
  try {
    const value = readValue(cursor)
    return { ok: true, value, end: cursor.at, isMended: cursor.isMended }
  } catch (error) {
    if (error instanceof LooseJsonError) return { ok: false, reason: error.reason }
    throw error
  }
}
