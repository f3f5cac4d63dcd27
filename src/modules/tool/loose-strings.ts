/**
 * What stands between the quotes of a model's string. An escape of JSON means what JSON says. A backslash that begins none
 * is one that the model forgot to double, as in `C:\Users` or `\d+`, and is kept; that of `\'` alone is dropped. Where a
 * run of characters without white space holds such a backslash, the others in it were not doubled either: `C:\Users\new`
 * has no line break, though `\n` alone would be one. `\"`, `\\`, `\/` and a whole `\uXXXX` are escapes everywhere.
 *
 * A string that is valid JSON is never read in another way. Linear: a run is looked at twice, once for whether it holds a
 * bare backslash.
 */
const always: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ["'", "'"],
])

const controls: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['t', '\t'],
  ['r', '\r'],
  ['b', '\b'],
  ['f', '\f'],
])

const unicode = /u[0-9a-fA-F]{4}/y
const runEnd = /\s/g

export type DecodedString = {
  readonly text: string
  readonly notes: ReadonlySet<'loose_json' | 'bare_backslash'>
}

/** Shorter strings are read faster than an error would be made for one that is no JSON. */
const nativeFromCharacters = 1_024

/** Null: it is no JSON. */
const asJson = (raw: string): string | null => {
  try {
    return JSON.parse(`"${raw}"`)
  } catch {
    return null
  }
}

/** How many characters the escape after the backslash at `at` has: 1, or 5. */
const escapeLength = (raw: string, at: number): number => {
  if (raw[at + 1] !== 'u') return 1
  unicode.lastIndex = at + 1
  return unicode.test(raw) ? 5 : 1
}

type Run = { readonly end: number; readonly isBare: boolean; readonly hasQuote: boolean }

/** From the backslash at `start` to white space, or past a backslash before it. */
const runAt = (raw: string, start: number): Run => {
  runEnd.lastIndex = start
  const space = runEnd.exec(raw)?.index ?? raw.length
  let [isBare, hasQuote] = [false, false]
  let at = start
  while (at !== -1 && at < space) {
    const mark = raw[at + 1] ?? ''
    const length = escapeLength(raw, at)
    if (length === 1 && !always.has(mark) && !controls.has(mark)) isBare = true
    if (mark === "'") hasQuote = true
    if (at + length >= space) return { end: at + 1 + length, isBare, hasQuote }
    at = raw.indexOf('\\', at + 1 + length)
  }
  return { end: space, isBare, hasQuote }
}

const meaningAt = (raw: string, { at, length, isBare }: { at: number; length: number; isBare: boolean }) => {
  if (length > 1) return String.fromCharCode(Number.parseInt(raw.slice(at + 2, at + 6), 16))
  const mark = raw[at + 1] ?? ''
  return always.get(mark) ?? (isBare ? undefined : controls.get(mark))
}

/** What stands in the run from the backslash at `start`. */
const decodeRun = (raw: string, start: number, { end, isBare }: Run): string => {
  let text = ''
  let last = start
  for (let at = start; at !== -1 && at < end; ) {
    const length = escapeLength(raw, at)
    const meant = meaningAt(raw, { at, length, isBare })
    const next = at + 1 + length
    if (meant !== undefined) {
      text += raw.slice(last, at) + meant
      last = next
    }
    at = raw.indexOf('\\', next)
  }
  return text + raw.slice(last, end)
}

const decodeLoosely = (raw: string): DecodedString => {
  const notes = new Set<'loose_json' | 'bare_backslash'>()
  const parts: string[] = []
  let last = 0
  for (let at = raw.indexOf('\\'); at !== -1; at = raw.indexOf('\\', last)) {
    const run = runAt(raw, at)
    if (run.isBare) notes.add('bare_backslash')
    if (run.hasQuote) notes.add('loose_json')
    parts.push(raw.slice(last, at), decodeRun(raw, at, run))
    last = run.end
  }
  parts.push(raw.slice(last))
  return { text: parts.join(''), notes }
}

/** `raw` ends with no backslash that is open. */
export const decodeString = (raw: string): DecodedString => {
  if (!raw.includes('\\')) return { text: raw, notes: new Set() }
  const text = raw.length < nativeFromCharacters ? null : asJson(raw)
  return text === null ? decodeLoosely(raw) : { text, notes: new Set() }
}
