/**
 * What keeps two memories that a model finds alike from saying the same. An embedder sees what texts are about: "may have
 * penicillin" and "must not have penicillin" are nearly one vector. So what it finds alike is compared as text: numbers,
 * dates, names, negations, opposites, signs, one word in the other's place, or roles that were swapped.
 *
 * It leans to finding a difference: a memory that is wrongly told apart is kept twice, one that is wrongly called a
 * duplicate is lost. Pure, and linear in the texts, of which no more than `comparedCharactersMax` are looked at.
 */
import { analyzeText } from '../indexing/lexical.ts'
import { sameTextOf } from './content-hash.ts'
import { comparedCharactersMax, type Fact, factOf, type Rough, roughOf } from './fact.ts'
import {
  dateWords,
  negatingPrefixes,
  numberWords,
  oppositeParts,
  opposites,
  plainCharacters,
  plainParts,
  plainWords,
  synonyms,
} from './fact-words.ts'

export const differences = ['number', 'date', 'name', 'negation', 'opposite', 'symbol', 'word', 'order'] as const
export type Difference = (typeof differences)[number]

const unspaced = /[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Thai}\p{scx=Lao}\p{scx=Khmer}\p{scx=Myanmar}]/u

const numeric = /^(?:\p{N}.*|[ap]m|[零两兩一二三四五六七八九十百千万])$/u

const isEqual = (one: ReadonlySet<string>, other: ReadonlySet<string>): boolean =>
  one.size === other.size && [...one].every((value) => other.has(value))

const missing = (one: ReadonlySet<string>, other: ReadonlySet<string>): readonly string[] =>
  [...one].filter((value) => !other.has(value))

type Pair = readonly [one: Fact, other: Fact]

const bothWays = (pair: Pair, holds: (one: Fact, other: Fact) => boolean): boolean =>
  holds(pair[0], pair[1]) || holds(pair[1], pair[0])

const differInName = (pair: Pair): boolean => {
  const unknown = (one: Fact, other: Fact) => missing(one.names, other.wordSet).length > 0
  if (bothWays(pair, unknown)) return true
  const unknownFirst = (one: Fact, other: Fact) => missing(one.firstNames, other.wordSet).length > 0
  return unknownFirst(...pair) && unknownFirst(pair[1], pair[0])
}

const isPrefixed = (one: Fact, other: Fact): boolean =>
  missing(one.wordSet, other.wordSet).some(
    (longer) =>
      longer.length > 5 &&
      negatingPrefixes.some((prefix) => longer.startsWith(prefix) && other.wordSet.has(longer.slice(prefix.length))),
  )

const differInNegation = (pair: Pair): boolean => {
  const [one, other] = pair
  return one.isNegated !== other.isNegated || bothWays(pair, isPrefixed)
}

const areOpposite = (pair: Pair): boolean => {
  const holds = (has: (fact: Fact, value: string) => boolean) => (groups: readonly (readonly string[])[]) =>
    bothWays(pair, (one, other) => {
      const [first = [], second = []] = groups
      const of = (fact: Fact, side: readonly string[]) => side.some((value) => has(fact, value))
      return of(one, first) && !of(one, second) && of(other, second) && !of(other, first)
    })
  return (
    opposites.some(holds((fact, value) => fact.wordSet.has(value))) ||
    oppositeParts.some(holds((fact, value) => fact.text.includes(value)))
  )
}

const differInSign = ([one, other]: Pair): boolean =>
  !isEqual(one.signs, other.signs) ||
  (one.currencies.size > 0 && other.currencies.size > 0 && !isEqual(one.currencies, other.currencies))

/** What is compared piece by piece: words, and single characters of scripts without spaces. */
const piecesOf = ({ words }: Fact): readonly string[] =>
  words.flatMap((key) =>
    unspaced.test(key) ? [...key.replace(plainParts, '')] : [numberWords.get(key) ?? synonyms.get(key) ?? key],
  )

/** Of no weight, or compared by another rule: numbers, dates, halves of the day. */
const isPlain = (piece: string): boolean =>
  plainWords.has(piece) || plainCharacters.has(piece) || dateWords.has(piece) || numeric.test(piece)

const stemOf = (piece: string): string => analyzeText(piece)[0] ?? piece

const kinLetters = 5
const endingLettersMax = 4

/** One word in two forms, as far as its beginning tells: `allergic`, `allergy`. */
const areKin = (one: string, other: string): boolean => {
  if (one === other || stemOf(one) === stemOf(other)) return true
  const shorter = Math.min(one.length, other.length)
  let alike = 0
  while (alike < shorter && one[alike] === other[alike]) alike += 1
  return alike >= kinLetters && Math.max(one.length, other.length) - alike <= endingLettersMax
}

type Pieces = readonly [one: readonly string[], other: readonly string[]]

/** The two texts without what they begin and end with alike. */
const middlesOf = ([one, other]: Pieces): Pieces => {
  const shorter = Math.min(one.length, other.length)
  let start = 0
  while (start < shorter && one[start] === other[start]) start += 1
  let end = 0
  while (end < shorter - start && one.at(-1 - end) === other.at(-1 - end)) end += 1
  return [one.slice(start, one.length - end), other.slice(start, other.length - end)]
}

const withoutKin = (one: readonly string[], other: readonly string[]): readonly string[] =>
  one.filter((piece) => !isPlain(piece) && !other.some((given) => areKin(piece, given)))

/** Longer middles are two ways of saying it, or two things: words do not tell. */
const middlePiecesMax = 12

/** One thing stands in the place of another, or is said by one alone, and all around it is the same. */
const isReplaced = (pieces: Pieces): boolean => {
  const [one, other] = middlesOf(pieces)
  if (Math.max(one.length, other.length) > middlePiecesMax) return false
  const isClean = one.length === other.length || one.length === 0 || other.length === 0
  const content = [withoutKin(one, other), withoutKin(other, one)].map((all) => all.length)
  const isAllNew = content[0] === one.filter((piece) => !isPlain(piece)).length
  return isClean && isAllNew && Math.max(...content) > 0
}

/** Of the words of a text, those for which others may stand while it still says that of another. */
const otherShare = 1 / 3

/** As many words as before, in whatever order, and a few of them are others. */
const isRefilled = ([one, other]: Pieces): boolean => {
  if (one.length !== other.length) return false
  const [known, knownOther] = [new Set(one), new Set(other)]
  const others = [one.filter((piece) => !knownOther.has(piece)), other.filter((piece) => !known.has(piece))] as const
  const isFew = others.every((all) => all.length <= middlePiecesMax && all.length <= one.length * otherShare)
  return isFew && withoutKin(...others).length > 0 && withoutKin(others[1], others[0]).length > 0
}

const differInWord = (pair: Pair): boolean => {
  const pieces = [piecesOf(pair[0]), piecesOf(pair[1])] as const
  return isReplaced(pieces) || isRefilled(pieces)
}

const joiners: ReadonlySet<string> = new Set('and und et y e i en и 和 と et o or oder ou ve و और'.split(' '))

/** The same words with two of them in each other's place ("Ana owes Ben", "Ben owes Ana"), but not "Ana and Ben". */
const differInOrder = (pair: Pair): boolean => {
  const [one, other] = [piecesOf(pair[0]), piecesOf(pair[1])]
  if (one.length !== other.length || !isEqual(new Set(one), new Set(other))) return false
  const places = one.flatMap((piece, at) => (piece === other[at] ? [] : [at]))
  const [first = 0, second = 0] = places
  if (places.length !== 2) return false
  return !(second - first === 2 && joiners.has(one[first + 1] ?? ''))
}

const rules: Readonly<Record<Difference, (pair: Pair) => boolean>> = {
  number: ([one, other]) => !isEqual(one.numbers, other.numbers),
  date: ([one, other]) => !isEqual(one.dates, other.dates),
  name: differInName,
  negation: differInNegation,
  opposite: areOpposite,
  symbol: differInSign,
  word: differInWord,
  order: differInOrder,
}

const hasEnglish =
  /(?<!\p{L})(?:the|a|an|is|are|was|has|have|had|of|to|in|on|at|for|with|and|by|my|his|her|their|user|not|no|does|do|will|likes?|wants?|lives?|prefers?|works?|goes|than|as|from|every)(?!\p{L})/iu

/** Does the bundled embedder, which knows English, see what the text is about? */
const isEnglish = (text: string): boolean => {
  const letters = text.match(/\p{L}/gu)?.length ?? 0
  const latin = text.match(/[a-z]/gi)?.length ?? 0
  return latin >= letters * 0.9 && hasEnglish.test(text)
}

/** Parts of the words (in scripts without spaces: characters and pairs) that two texts have to share. */
const sharedOfEnglish = 0.25
const sharedOfOthers = 0.5

const isAlike = (one: Rough, other: Rough): boolean => {
  const shared = [...one.terms].filter((term) => other.terms.has(term)).length
  const share = (2 * shared) / (one.terms.size + other.terms.size)
  if (share >= sharedOfOthers) return true
  return share >= sharedOfEnglish && isEnglish(one.text) && isEnglish(other.text)
}

/** What of a long text is not looked at. */
const restOf = (content: string): string => sameTextOf(content.slice(comparedCharactersMax))

/**
 * Null: they share so few words that a vector alone is no sign of their being about the same. Empty: they say the same.
 * Of long texts the beginnings are compared; they say the same only if the rest is the same text.
 */
export const createComparer = (content: string): ((otherContent: string) => readonly Difference[] | null) => {
  const rough = roughOf(content)
  return (otherContent) => {
    const other = roughOf(otherContent)
    const isRestSame = restOf(content) === restOf(otherContent)
    if (rough.text === other.text && isRestSame) return []
    if (!isAlike(rough, other)) return null
    const pair = [factOf(rough), factOf(other)] as const
    const found = differences.filter((difference) => rules[difference](pair))
    return found.length === 0 && !isRestSame ? ['word'] : found
  }
}
