/**
 * Which numbers of a JSON text are kept as they are written. JSON.parse makes 64-bit floats of them and is silent about
 * what that loses: an id of 19 digits becomes another id. So the text is looked through before it is parsed.
 *
 * A whole number is kept within ±(2^53 - 1), as RFC 7493 has it. Another one is kept when it is what a 64-bit float
 * prints: at most 17 digits, each as the float has it (`0.1`, `1.0`, `6.02e23`, `0.30000000000000004`). Not kept are
 * `12345678901234567.0`, decimals of more digits, and what is infinite or nothing as a float. Minus zero is zero.
 *
 * The text is looked at once from left to right; long numbers cost more than short ones, by a constant.
 */
import { jsonPointer } from './json-limits.ts'

const [quote, backslash, minus, plus, point, zero, nine, bigE, smallE] = [34, 92, 45, 43, 46, 48, 57, 69, 101]

const isDigit = (code: number): boolean => code >= zero && code <= nine

/** More digits than these can be lost. */
const safeDigits = 15
const floatDigitsMax = 17
/** A float has its full precision between 1e-307 and 1e308. */
const shortExponent = 270
const exponentDigitsMax = 3
/**
 * Numbers that are neither short nor in the form in which programs write a float take long to compare. Of one text no more
 * than these are, and the next counts as not kept.
 */
const oddNumbersMax = 10_000

const isWhole = /^-?\d+$/

/** The digits of a number without sign, point, exponent and the zeros around them. */
const significantDigits = (token: string): string => {
  const [mantissa = ''] = token.split(/[eE]/, 1)
  const digits = mantissa.replace(/[-.]/g, '')
  let [start, end] = [0, digits.length]
  while (start < end && digits.charCodeAt(start) === zero) start += 1
  while (end > start && digits.charCodeAt(end - 1) === zero) end -= 1
  return digits.slice(start, end)
}

/** Is a number in the form of JSON kept as it is written? */
export const isExactNumber = (token: string): boolean => {
  const value = Number(token)
  if (isWhole.test(token)) return Number.isSafeInteger(value)
  const digits = significantDigits(token)
  if (digits === '') return true
  const size = Math.abs(value)
  if (size === 0 || size === Number.POSITIVE_INFINITY || digits.length > floatDigitsMax) return false
  // Of a float halfway between two numbers of so many digits, `toExponential` takes the larger and a program its neighbour.
  return [size.toExponential(digits.length - 1), String(size)].some((text) => significantDigits(text) === digits)
}

/** Behind the string that begins at `start`; the length of the text when it never ends. */
const endOfString = (text: string, start: number): number => {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let before = end
    while (text.charCodeAt(before - 1) === backslash) before -= 1
    if ((end - before) % 2 === 0) return end + 1
  }
  return text.length
}

/** Behind the digits that begin at `start`. */
const endOfDigits = (text: string, start: number): number => {
  let end = start
  while (isDigit(text.charCodeAt(end))) end += 1
  return end
}

/** Behind the number that begins at `start`, and whether it is so short that a float holds all of it. */
const endOfNumber = (text: string, start: number): { readonly end: number; readonly isShort: boolean } => {
  const first = text.charCodeAt(start) === minus ? start + 1 : start
  let end = endOfDigits(text, first)
  if (text.charCodeAt(end) === point) end = endOfDigits(text, end + 1)
  const hasFewDigits = end - first <= safeDigits
  const code = text.charCodeAt(end)
  if (code !== smallE && code !== bigE) return { end, isShort: hasFewDigits }
  const sign = text.charCodeAt(end + 1)
  const exponent = sign === minus || sign === plus ? end + 2 : end + 1
  end = endOfDigits(text, exponent)
  const size = end - exponent > exponentDigitsMax ? Infinity : Number(text.slice(exponent, end))
  return { end, isShort: hasFewDigits && size <= shortExponent }
}

/** The form in which programs write a float. */
const isShortestForm = (token: string): boolean => {
  const value = Number(token)
  return Math.abs(value) < Number.MAX_SAFE_INTEGER && String(value) === token
}

/** Where the first number begins that would not be kept as it is written; -1 when all are. `text` is to be valid JSON. */
export const indexOfInexactNumber = (text: string): number => {
  let at = 0
  let oddNumbers = 0
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === quote) at = endOfString(text, at)
    else if (code !== minus && !isDigit(code)) at += 1
    else {
      const { end, isShort } = endOfNumber(text, at)
      const token = isShort ? '' : text.slice(at, end)
      if (!isShort && !isShortestForm(token)) {
        oddNumbers += 1
        if (oddNumbers > oddNumbersMax || !isExactNumber(token)) return at
      }
      at = end
    }
  }
  return -1
}

type Level = { key: string | number; isObject: boolean }

/** The JSON pointer of the scalar that begins at `index` of a valid JSON text. */
export const pointerAt = (text: string, index: number): string => {
  const levels: Level[] = []
  let lastString = ''
  for (let at = 0; at < index; at += 1) {
    const level = levels.at(-1)
    const character = text[at]
    if (character === '"') {
      const end = endOfString(text, at)
      lastString = text.slice(at, end)
      at = end - 1
    } else if (character === '{') levels.push({ key: '', isObject: true })
    else if (character === '[') levels.push({ key: 0, isObject: false })
    else if (character === '}' || character === ']') levels.pop()
    else if (character === ':' && level !== undefined) level.key = JSON.parse(lastString)
    else if (character === ',' && level !== undefined && !level.isObject) level.key = Number(level.key) + 1
  }
  return jsonPointer(levels.map(({ key }) => key))
}
