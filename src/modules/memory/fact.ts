/** A memory's text as it is compared with another: what it names, in one spelling each. */
import { streamSafe } from '../../shared/stream-safe.ts'
import { analyzeText } from '../indexing/lexical.ts'
import { sameTextOf } from './content-hash.ts'
import { datesOf, numbersOf } from './fact-numbers.ts'
import { dateWords, negationParts, negations, plainWords } from './fact-words.ts'

export const comparedCharactersMax = 2_048

const word = /[\p{L}\p{N}][\p{L}\p{M}\p{N}]*(?:['’][\p{L}\p{M}]+)*[+#]*/gu
const possessive = /['’]s?$/
const signs = /!(?==)|[\p{Sm}\p{So}%&@#*\\|?？؟]/gu
const softSigns = /[°%©®™]/
const currency = /\p{Sc}/gu
const sentenceStart = /(?:^|[.!?:;•\n"“«(])\s*$/u

/** What tells whether it is worth to look closer. */
export type Rough = {
  readonly spelled: string
  readonly text: string
  readonly terms: ReadonlySet<string>
}

export type Fact = {
  readonly text: string
  readonly words: readonly string[]
  readonly wordSet: ReadonlySet<string>
  readonly numbers: ReadonlySet<string>
  readonly dates: ReadonlySet<string>
  readonly names: ReadonlySet<string>
  /** Capitalised as any word is that begins a sentence. */
  readonly firstNames: ReadonlySet<string>
  readonly signs: ReadonlySet<string>
  readonly currencies: ReadonlySet<string>
  readonly isNegated: boolean
}

const keyOf = (spelled: string): string => spelled.toLowerCase().replace(possessive, '').replaceAll('’', "'")

const isCapital = (spelled: string): boolean => /^\p{Lu}/u.test(spelled)

/** Verbs that begin a note ("Prefers tea") are capitalised, and look like this. */
const looksLikeVerb = /(?:s|ed|ing)$/

export const roughOf = (content: string): Rough => {
  const spelled = streamSafe(content.slice(0, comparedCharactersMax)).normalize('NFC')
  return { spelled, text: sameTextOf(spelled), terms: new Set(analyzeText(spelled)) }
}

export const factOf = ({ spelled: text, text: sameText }: Rough): Fact => {
  const spelled = Array.from(text.matchAll(word), ({ 0: found, index }) => ({ found, key: keyOf(found), index }))
  const words = spelled.map(({ key }) => key)
  const [numbers, dates] = [numbersOf(text, words), datesOf(text, words)]
  const capitals = spelled.filter(({ found, key }) => isCapital(found) && !plainWords.has(key) && !dateWords.has(key))
  const isFirst = ({ index }: { index: number }) => sentenceStart.test(text.slice(Math.max(0, index - 4), index))
  const firsts = capitals.filter(isFirst)
  return {
    text: sameText,
    words,
    wordSet: new Set(words),
    numbers,
    dates,
    names: new Set(capitals.filter((capital) => !isFirst(capital)).map(({ key }) => key)),
    firstNames: new Set(firsts.map(({ key }) => key).filter((key) => !looksLikeVerb.test(key))),
    signs: new Set(Array.from(text.matchAll(signs), ([sign]) => sign).filter((sign) => !softSigns.test(sign))),
    currencies: new Set(Array.from(text.matchAll(currency), ([sign]) => sign)),
    isNegated:
      words.some((key) => negations.has(key)) ||
      Array.from(text.toLowerCase().matchAll(negationParts), ([, harmless]) => harmless).includes(undefined),
  }
}
