/**
 * What a JSON text may hold, counted before it is parsed. A parser's time goes by values and not by bytes, and nobody can
 * interrupt it: four megabytes of `{},` or of ever new names take a second, as text of the same length a few milliseconds.
 * So the marks outside of strings are counted, which is one look at each byte, and the names that were not seen before.
 * Text that is no JSON is counted all the same; the parser refuses it.
 */
export type JsonBounds = {
  /** Members of objects and items of arrays. */
  readonly valuesMax: number
  /** Objects and arrays. */
  readonly containersMax: number
  /** Different names of members: the shape of an object is made anew for each. */
  readonly namesMax: number
}

const [quote, backslash, comma, colon] = [0x22, 0x5c, 0x2c, 0x3a]
const [openBracket, openBrace] = [0x5b, 0x7b]

/** Where the string that is open at `start` ends: the place of its closing quote, or the end of the text. */
const endOfString = (bytes: Buffer, start: number): number => {
  for (let end = bytes.indexOf(quote, start); end !== -1; end = bytes.indexOf(quote, end + 1)) {
    let first = end
    while (first > start && bytes[first - 1] === backslash) first -= 1
    if ((end - first) % 2 === 0) return end
  }
  return bytes.length
}

/** Does the text keep the bounds? Linear in its bytes; stops at the first bound that is passed. */
export const keepsJsonBounds = (bytes: Buffer, { valuesMax, containersMax, namesMax }: JsonBounds): boolean => {
  // Each value but the first of a container has a comma before it, and each container a bracket, of two bytes in all.
  if (bytes.length < 2 * Math.min(valuesMax, containersMax, namesMax)) return true
  const names = new Set<string>()
  let values = 0
  let containers = 0
  let string = { start: 0, end: 0 }
  for (let at = 0; at < bytes.length; at += 1) {
    const mark = bytes[at]
    if (mark === quote) {
      string = { start: at + 1, end: endOfString(bytes, at + 1) }
      at = string.end
    } else if (mark === comma) values += 1
    else if (mark === openBracket || mark === openBrace) {
      containers += 1
      values += 1
    } else if (mark === colon) names.add(bytes.toString('latin1', string.start, string.end))
    else continue
    if (values > valuesMax || containers > containersMax || names.size > namesMax) return false
  }
  return true
}
