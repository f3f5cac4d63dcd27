/**
 * Facts are the words that a summary must not lose: numbers, dates, amounts, addresses, identifiers and names. They are
 * told by their form alone (a digit, an @, an inner capital or underscore, a capital that no sentence start explains), so
 * the same rule holds for any language with capitals and for none in particular.
 */
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

/** The distinct facts of a text, without surrounding punctuation, in order of appearance. */
export const factsOf = (text: string): ReadonlySet<string> => {
  const facts = new Set<string>()
  const words = text.split(/\s+/u)
  for (const [index, raw] of words.entries()) {
    const word = raw.slice(0, 80).replace(/^[^\p{L}\p{N}$€£¥#@]+|(?:['’]s)?[^\p{L}\p{N}%]+$/gu, '')
    if (word === '') continue
    if (hasForm(word) || isName(word, words[index - 1] ?? '', words[index + 1] ?? '')) facts.add(word)
  }
  return facts
}

/** Facts of the replaced texts that the summary does not repeat. */
export const factsDropped = (span: readonly string[], summary: string): readonly string[] => {
  const kept = summary.toLowerCase()
  return [...factsOf(span.join('\n'))].filter((fact) => !kept.includes(fact.toLowerCase()))
}
