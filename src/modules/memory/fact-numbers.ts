/** The numbers and dates that a fact names, each in one spelling whatever its script, separators or words. */
import { dateWords, doubtfulMonths, numberWords } from './fact-words.ts'

/** Where digits of other scripts begin; each has ten in a row. */
const zeros = [
  0x660, 0x6f0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50, 0xed0, 0x1040, 0xff10,
]

const toAsciiDigits = (text: string): string =>
  text.replace(/\p{Nd}/gu, (digit) => {
    const code = digit.codePointAt(0) ?? 0
    const start = zeros.find((zero) => code >= zero && code < zero + 10)
    return start === undefined ? digit : String(code - start)
  })

const number = /([-−])?(\d+(?:[.,:]\d+)*)(?:\s?([ap])\.?m\b)?/giu
const chineseNumber = /[〇零一二两兩三四五六七八九十百千万]+/gu
const chineseDigits = '〇一二三四五六七八九'
const chineseUnits: ReadonlyMap<string, number> = new Map([...'十百千万'].map((unit, at) => [unit, 10 ** (at + 1)]))

/** `1,000` is a thousand, `2,5` two and a half, `6:00` what `6` is; but version 2.10 is not 2.1. */
const plainNumber = (digits: string): string => {
  const ungrouped = /^\d{1,3}(?:,\d{3})+(?:\.\d+)?$/.test(digits)
    ? digits.replaceAll(',', '')
    : digits.replace(',', '.')
  return ungrouped.replace(/^0+(?=\d)/, '').replace(/(?:\.0{1,6}|:00)$/, '')
}

const hourOf = (digits: string, half: string): string => {
  const [hour = '', ...minutes] = digits.split(/[:.]/)
  const shifted = (Number(hour) % 12) + (half.toLowerCase() === 'p' ? 12 : 0)
  return plainNumber([shifted, ...minutes].join(':'))
}

const chineseValue = (text: string): string => {
  let [total, digit] = [0, 0]
  for (const character of text.replace(/[两兩]/g, '二').replace('零', '')) {
    const unit = chineseUnits.get(character)
    if (unit === undefined) digit = chineseDigits.indexOf(character)
    else {
      total = unit === 10_000 ? (total + digit) * unit : total + Math.max(1, digit) * unit
      digit = 0
    }
  }
  return String(total + digit)
}

const writtenNumbers = (text: string): readonly string[] =>
  Array.from(text.matchAll(number), ({ 1: sign, 2: digits = '', 3: half, index }) => {
    const isNegative = sign !== undefined && !/[\p{L}\p{N}]/u.test(text[index - 1] ?? '')
    return `${isNegative ? '-' : ''}${half === undefined ? plainNumber(digits) : hourOf(digits, half)}`
  })

/** A single 一 is mostly an article. */
const chineseNumbers = (text: string): readonly string[] =>
  Array.from(text.matchAll(chineseNumber), ([found]) => found).flatMap((found) =>
    found === '一' ? [] : [chineseValue(found)],
  )

const isoDate = /(?<!\d)(\d{4})-(\d\d)-(\d\d)(?!\d)/g

/** `words` are the words of the text in lower case. */
export const numbersOf = (text: string, words: readonly string[]): ReadonlySet<string> => {
  const digits = toAsciiDigits(text).replace(isoDate, (_, year, __, day) => `${year} ${day}`)
  const spelled = words.flatMap((word) => numberWords.get(word) ?? [])
  return new Set([
    ...writtenNumbers(digits),
    ...chineseNumbers(text),
    ...spelled,
    ...(text.includes('半') ? ['half'] : []),
  ])
}

const isCalled = (text: string, word: string): boolean => {
  const capital = word.charAt(0).toUpperCase() + word.slice(1)
  const besideNumber = new RegExp(`\\d(?:st|nd|rd|th|\\.)?\\s+(?:of\\s+)?${word}|${word}\\s+\\d`, 'iu')
  return besideNumber.test(text) || new RegExp(`[\\p{L},]\\s${capital}(?!\\p{L})`, 'u').test(text)
}

const unspacedDates = [...dateWords].filter(([word]) => /^\p{scx=Han}/u.test(word))

/** Months, days of the week, and days beside today. */
export const datesOf = (text: string, words: readonly string[]): ReadonlySet<string> => {
  const named = [...new Set(words)].flatMap((word) => {
    const date = dateWords.get(word)
    return date === undefined || (doubtfulMonths.has(word) && !isCalled(text, word)) ? [] : [date]
  })
  const written = Array.from(text.matchAll(isoDate), ({ 2: month }) => `m${Number(month)}`)
  const unspaced = unspacedDates.flatMap(([word, date]) => (text.includes(word) ? [date] : []))
  return new Set([...named, ...written, ...unspaced])
}
