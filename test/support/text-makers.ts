/** Makes texts to a length: what the kinds of adversarial texts are written with. */

/** A text of exactly this many characters (code points). */
export type Make = (characters: number) => string

export const repeated =
  (unit: string): Make =>
  (characters) =>
    cutTo(unit.repeat(Math.ceil(Math.max(0, characters) / [...unit].length)), characters)

/** By code points, without an array of them all where there is no surrogate. */
const cutTo = (text: string, characters: number): string =>
  /[\uD800-\uDFFF]/.test(text) ? [...text].slice(0, characters).join('') : text.slice(0, characters)

export const counted =
  (unitOf: (index: number) => string): Make =>
  (characters) => {
    const parts: string[] = []
    for (let size = 0, index = 0; size < characters; index += 1) {
      const unit = unitOf(index)
      parts.push(unit)
      size += unit.length
    }
    return cutTo(parts.join(''), characters)
  }

export const led =
  (lead: string, unit: string, tail = ''): Make =>
  (characters) =>
    cutTo(lead + repeated(unit)(Math.max(0, characters - lead.length - tail.length)), characters - tail.length) + tail

export const halves =
  (lead: string, first: string, second: string): Make =>
  (characters) => {
    const half = Math.max(0, Math.floor((characters - lead.length) / 2))
    return lead + repeated(first)(half) + repeated(second)(half)
  }

/** Nested JSON that closes: as deep as it fits. */
export const nested =
  (open: string, inner: string, close: string): Make =>
  (characters) => {
    const depth = Math.max(0, Math.floor((characters - inner.length) / (open.length + close.length)))
    return open.repeat(depth) + inner + close.repeat(depth)
  }

export const letters = 'abcdefghijklmnopqrstuvwxyz'

/** A word of its own for each number, of letters alone. */
export const wordOf = (index: number): string => {
  let word = ''
  for (let rest = index; rest >= 0; rest = Math.floor(rest / 26) - 1) word += letters[rest % 26]
  return word
}

export const nameOf = (index: number): string => {
  const word = `q${wordOf(index)}`
  return word.charAt(0).toUpperCase() + word.slice(1)
}

/** From a fixed seed. */
export const noise = (alphabet: string): Make =>
  counted((index) => {
    const hash = Math.imul(index ^ 0x9e3779b9, 0x85ebca6b) >>> 3
    return alphabet.charAt(hash % alphabet.length)
  })

export const han = (index: number): string => String.fromCodePoint(0x4e00 + ((index * 7919) % 20_000))
export const base64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
