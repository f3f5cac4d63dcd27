/**
 * TF-IDF vectors of sentences and their centrality. Degree centrality in the similarity graph (LexRank: Erkan and Radev
 * 2004, "Graph-based Lexical Centrality as Salience in Text Summarization") is the sum of a sentence's cosines with all
 * others. Without a cut-off that sum is one dot product with the sum of all unit vectors, so it takes time linear in the
 * text and not quadratic in the sentences.
 */
import { stemmer } from 'stemmer'
import { mapSteps, type Steps } from '../../shared/yielding.ts'

/** Unit length; term ids ascend from 0 in order of first appearance. */
export type SentenceVector = { readonly terms: readonly number[]; readonly weights: readonly number[] }

const stopWords = new Set(
  'a about after all also am an and any are as at be because been but by can could did do does for from had has have he her here him his how i if in into is it its just like me more my no not of on one or our out so some than that the their them then there these they this to too up us was we were what when which who will with would you your yes ok okay oh hi hey thanks really very well good great'.split(
    ' ',
  ),
)

const cjk = /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u
const words = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]+|[\p{L}\p{N}]+/gu

const bigramsOf = (run: string): readonly string[] =>
  run.length < 2 ? [run] : Array.from({ length: run.length - 1 }, (_, index) => run.slice(index, index + 2))

/** Turns texts into bags of term ids: stemmed words without stop words; pairs of characters where no spaces part words. */
function* bagsOf(texts: readonly string[]): Steps<{ bags: readonly ReadonlySet<number>[]; termCount: number }> {
  const termIdByWord = new Map<string, number>()
  const idByTerm = new Map<string, number>()
  const idOf = (word: string): number => {
    const known = termIdByWord.get(word)
    if (known !== undefined) return known
    const term = word.length > 3 && word.length < 40 ? stemmer(word) : word
    const id = idByTerm.get(term) ?? idByTerm.size
    idByTerm.set(term, id)
    termIdByWord.set(word, id)
    return id
  }
  const bags = yield* mapSteps(texts, (text) => {
    const runs = text.toLowerCase().match(words) ?? []
    const terms = runs.flatMap((run) => (cjk.test(run) ? bigramsOf(run) : stopWords.has(run) ? [] : [run]))
    return new Set(terms.map(idOf))
  })
  return { bags, termCount: idByTerm.size }
}

export function* sentenceVectors(
  texts: readonly string[],
): Steps<{ readonly vectors: readonly SentenceVector[]; readonly termCount: number }> {
  const { bags, termCount } = yield* bagsOf(texts)
  const holders = new Float64Array(termCount)
  for (const bag of bags) {
    for (const term of bag) holders[term] = (holders[term] ?? 0) + 1
    yield
  }
  const vectors = yield* mapSteps(bags, (bag) => {
    const terms = [...bag]
    const weights = terms.map((term) => Math.log(1 + texts.length / (holders[term] ?? 1)))
    const length = Math.hypot(...weights) || 1
    return { terms, weights: weights.map((weight) => weight / length) }
  })
  return { vectors, termCount }
}

export const addTo = (sum: Float64Array, { terms, weights }: SentenceVector): void => {
  for (const [index, term] of terms.entries()) sum[term] = (sum[term] ?? 0) + (weights[index] ?? 0)
}

export const dotWith = (dense: Float64Array, { terms, weights }: SentenceVector): number => {
  let sum = 0
  for (let index = 0; index < terms.length; index += 1) sum += (dense[terms[index] ?? 0] ?? 0) * (weights[index] ?? 0)
  return sum
}

/** Degree centrality of each sentence, scaled so that the most central has 1. */
export function* centralities(vectors: readonly SentenceVector[], termCount: number): Steps<readonly number[]> {
  const sum = new Float64Array(termCount)
  for (const vector of vectors) {
    addTo(sum, vector)
    yield
  }
  const degrees = yield* mapSteps(vectors, (vector) => (vector.terms.length === 0 ? 0 : dotWith(sum, vector) - 1))
  const highest = degrees.reduce((best, degree) => Math.max(best, degree), 0) || 1
  return degrees.map((degree) => degree / highest)
}
