/**
 * Facts are the words that a summary must not lose: numbers, dates, amounts, addresses, identifiers and names. They are
 * told by their form alone (a digit, an @, an inner capital or underscore, a capital that no sentence start explains), so
 * the same rule holds for any language with capitals and for none in particular.
 */
import { atOnce, type Steps } from '../../shared/yielding.ts'

const commonStarts = new Set(
  'I A The This That These Those It He She We You They In On At For But And Or So If When What Who Where Why How Yes No Not Please Thanks Hi Hello Ok Okay Sure'.split(
    ' ',
  ),
)

const hasForm = (word: string): boolean =>
  /\p{N}/u.test(word) || /[@_]|:\/\/|\p{Ll}\p{Lu}/u.test(word) || /^\p{Lu}{2,}$/u.test(word)

const isName = (word: string, previous: string, next: string): boolean => {
  if (!/^\p{Lu}\p{Ll}/u.test(word) || commonStarts.has(word)) return false
  const startsSentence = previous === '' || /[.!?:"“]$/u.test(previous)
  return !startsSentence || /^\p{Lu}\p{Ll}/u.test(next)
}

/** The fact that a word is, between its neighbours; null: it is none. */
const factOf = (raw: string, previous: string, next: string): string | null => {
  const word = raw.slice(0, 80).replace(/^[^\p{L}\p{N}$€£¥#@]+|(?:['’]s)?[^\p{L}\p{N}%]+$/gu, '')
  return word !== '' && (hasForm(word) || isName(word, previous, next)) ? word : null
}

/** The distinct facts of a text, without surrounding punctuation, in order of appearance. */
export const factsOf = (text: string): ReadonlySet<string> => {
  const words = text.split(/\s+/u)
  const facts = words.map((word, index) => factOf(word, words[index - 1] ?? '', words[index + 1] ?? ''))
  return new Set(facts.filter((fact) => fact !== null))
}

function* wordsOf(texts: readonly string[]): Generator<string> {
  for (const text of texts) for (const word of text.split(/\s+/u)) if (word !== '') yield word
}

/** The facts of texts that follow one another, as `factsOf` has them of the whole, with repeats. Null: a word is none. */
function* factsOfAll(texts: readonly string[]): Generator<string | null> {
  let previous = ''
  let word = ''
  for (const next of wordsOf(texts)) {
    yield factOf(word, previous, next)
    previous = word
    word = next
  }
  yield factOf(word, previous, '')
}

/** Characters of the summary that are read for facts that stand within its words: some milliseconds' work. */
const searchedCharsMax = 32_000_000

/**
 * Tells whether a summary repeats a fact, in whatever case. Facts that are words of it are told by a set; the others are
 * searched for, and when that has taken too long they count as not repeated.
 */
function* createIsKept(summary: string): Steps<(fact: string) => boolean> {
  const kept = summary.toLowerCase()
  const words = new Set<string>()
  for (const fact of factsOfAll([summary])) {
    if (fact !== null) words.add(fact.toLowerCase())
    yield
  }
  let searchesLeft = Math.ceil(searchedCharsMax / Math.max(1, kept.length))
  return (fact) => {
    const text = fact.toLowerCase()
    if (words.has(text)) return true
    searchesLeft -= 1
    return searchesLeft >= 0 && kept.includes(text)
  }
}

/** The first `max` facts of the replaced texts that the summary does not repeat. */
export function* droppedSteps(
  span: readonly string[],
  { summary, max }: { readonly summary: string; readonly max: number },
): Steps<readonly string[]> {
  const isKept = yield* createIsKept(summary)
  const known = new Set<string>()
  const dropped: string[] = []
  for (const fact of factsOfAll(span)) {
    yield
    if (fact === null || known.has(fact)) continue
    known.add(fact)
    if (isKept(fact)) continue
    dropped.push(fact)
    if (dropped.length === max) break
  }
  return dropped
}

/** `droppedSteps` at once, of all facts. */
export const factsDropped = (span: readonly string[], summary: string): readonly string[] =>
  atOnce(droppedSteps(span, { summary, max: Number.POSITIVE_INFINITY }))
