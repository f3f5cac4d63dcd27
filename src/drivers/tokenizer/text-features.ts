/**
 * Counts what decides how many tokens a text has, in one pass over its UTF-16 units and without a regular expression,
 * so the time is linear whatever the text. Byte-pair vocabularies first cut a text into words with the space before
 * them, runs of punctuation, digits, and runs of blanks, and then split long or rare words; the features follow these
 * cuts.
 */
export const featureNames = [
  'latinWords',
  'latinLettersPast5',
  'latinWordsGlued',
  'accentedLetters',
  'digits',
  'punctuationRuns',
  'punctuationPast2',
  'blankRuns',
  'lineBreaks',
  'han',
  'kana',
  'hangul',
  'cyrillicLetters',
  'otherLetters',
  'astral',
  'otherSymbols',
] as const

export type FeatureName = (typeof featureNames)[number]
export type FeatureCounts = Record<FeatureName, number>

const plain = 1
const accented = 2
const digit = 3
const blank = 4
const line = 5
const punctuation = 6
const han = 7
const kana = 8
const hangul = 9
const cyrillic = 10
const letter = 11
const high = 12
const low = 13
const symbol = 14

const classOfRest = (code: number): number => {
  if (code < 0x0250) return code >= 0x00c0 && code !== 0x00d7 && code !== 0x00f7 ? accented : symbol
  if (code < 0x0400) return letter
  if (code < 0x0530) return cyrillic
  if (code < 0x1e00) return letter
  if (code < 0x2000) return accented
  if (code < 0x2e80) return symbol
  if (code >= 0x3041 && code < 0x3100) return kana
  if (code < 0x3041) return symbol
  if (code < 0xa000) return han
  if (code >= 0xac00 && code < 0xd7b0) return hangul
  if (code >= 0xd800 && code < 0xdc00) return high
  if (code >= 0xdc00 && code < 0xe000) return low
  if (code >= 0xf900 && code < 0xfb00) return han
  return code >= 0xff00 ? symbol : letter
}

const classOfAscii = (code: number): number => {
  if ((code >= 97 && code <= 122) || (code >= 65 && code <= 90)) return plain
  if (code >= 48 && code <= 57) return digit
  if (code === 10 || code === 13) return line
  return code <= 32 || code === 127 ? blank : punctuation
}

const classTable = Uint8Array.from({ length: 0x10000 }, (_, code) =>
  code < 128 ? classOfAscii(code) : classOfRest(code),
)

const classAt = (text: string, index: number): number => classTable[text.charCodeAt(index)] ?? symbol

const runEnd = (text: string, start: number, kind: number): number => {
  let end = start + 1
  while (end < text.length && classAt(text, end) === kind) end += 1
  return end
}

/** A word of Latin letters: its length, and what makes a vocabulary split it. */
const readLatinWord = (text: string, start: number, counts: FeatureCounts): number => {
  let end = start
  for (; end < text.length; end += 1) {
    const kind = classAt(text, end)
    if (kind > accented) break
    if (kind === accented) counts.accentedLetters += 1
  }
  counts.latinWords += 1
  counts.latinLettersPast5 += Math.max(0, end - start - 5)
  if (start > 0 && classAt(text, start - 1) !== blank) counts.latinWordsGlued += 1
  return end
}

/** A run of one class; single blanks belong to the word after them. */
const readRun = (text: string, start: number, counts: FeatureCounts): number => {
  const kind = classAt(text, start)
  const end = runEnd(text, start, kind)
  const count = end - start
  if (kind === digit) counts.digits += count
  else if (kind === blank) counts.blankRuns += count > 1 ? 1 : 0
  else if (kind === line) counts.lineBreaks += 1
  else if (kind === punctuation) {
    counts.punctuationRuns += 1
    counts.punctuationPast2 += Math.max(0, count - 2)
  } else readOtherScript(kind, count, counts)
  return end
}

const readOtherScript = (kind: number, count: number, counts: FeatureCounts): void => {
  if (kind === han) counts.han += count
  else if (kind === kana) counts.kana += count
  else if (kind === hangul) counts.hangul += count
  else if (kind === cyrillic) counts.cyrillicLetters += count
  else if (kind === letter) counts.otherLetters += count
  else if (kind === high) counts.astral += count
  else if (kind === symbol) counts.otherSymbols += count
}

export const countFeatures = (text: string): FeatureCounts => {
  const counts = Object.fromEntries(featureNames.map((name) => [name, 0])) as FeatureCounts
  let index = 0
  while (index < text.length) {
    index = classAt(text, index) <= accented ? readLatinWord(text, index, counts) : readRun(text, index, counts)
  }
  return counts
}
