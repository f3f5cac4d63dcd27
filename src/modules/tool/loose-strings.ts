/**
 * What stands between the quotes of a model's string. An escape of JSON means what JSON says. A backslash that begins none
 * is one that the model forgot to double, as in `C:\Users` or `\d+`, and is kept; that of `\'` alone is dropped. Where a
 * run of characters without white space holds such a backslash, the others in it were not doubled either: `C:\Users\new`
 * has no line break, though `\n` alone would be one. `\"`, `\\`, `\/` and a whole `\uXXXX` are escapes everywhere.
 *
 * A string that is valid JSON is never read in another way. One pass, each character looked at once.
 */
const piece = /\\(?:u[0-9a-fA-F]{4}|[\s\S])|\s+/g

const always: ReadonlyMap<string, string> = new Map([
  ['\\"', '"'],
  ['\\\\', '\\'],
  ['\\/', '/'],
  ["\\'", "'"],
])

const controls: ReadonlyMap<string, string> = new Map([
  ['\\n', '\n'],
  ['\\t', '\t'],
  ['\\r', '\r'],
  ['\\b', '\b'],
  ['\\f', '\f'],
])

const meaningOf = (found: string): string | undefined =>
  found.length > 2 ? String.fromCharCode(Number.parseInt(found.slice(2), 16)) : always.get(found)

export type DecodedString = {
  readonly text: string
  readonly notes: ReadonlySet<'loose_json' | 'bare_backslash'>
}

/** `raw` ends with no backslash that is open. */
export const decodeString = (raw: string): DecodedString => {
  const notes = new Set<'loose_json' | 'bare_backslash'>()
  if (!raw.includes('\\')) return { text: raw, notes }
  const parts: string[] = []
  /** Places in `parts` of what may be an escape or a bare backslash, in the run of characters that is being read. */
  let open: number[] = []
  let isBare = false
  const endRun = (): void => {
    if (!isBare) for (const at of open) parts[at] = controls.get(parts[at] ?? '') ?? ''
    open = []
    isBare = false
  }
  let last = 0
  for (const { 0: found, index } of raw.matchAll(piece)) {
    parts.push(raw.slice(last, index))
    last = index + found.length
    const meant = meaningOf(found)
    if (!found.startsWith('\\')) endRun()
    else if (found === "\\'") notes.add('loose_json')
    else if (meant === undefined && !controls.has(found)) {
      isBare = true
      notes.add('bare_backslash')
    }
    if (controls.has(found)) open.push(parts.length)
    parts.push(meant ?? found)
    // A backslash before white space ends the run with it.
    if (/^\\\s/.test(found)) endRun()
  }
  endRun()
  parts.push(raw.slice(last))
  return { text: parts.join(''), notes }
}
