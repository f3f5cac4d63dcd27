/**
 * What a sentence is worth in a summary: its centrality (sentence-vectors.ts), and what makes it matter to an agent:
 * facts, decisions and obligations, the user's own words, an opening sentence, an earlier summary, and being recent.
 */
import { factsOf } from './facts-of.ts'
import { quotableTexts, type SummarizableMessage } from './quotable-text.ts'
import { centralities, type SentenceVector, sentenceVectors } from './sentence-vectors.ts'

export type Sentence = {
  readonly order: number
  readonly speaker: string
  readonly text: string
  readonly facts: ReadonlySet<string>
  readonly vector: SentenceVector
  readonly worth: number
}

export type WeighedSentences = { readonly sentences: readonly Sentence[]; readonly termCount: number }

type Piece = {
  readonly message: SummarizableMessage
  readonly speaker: string
  readonly text: string
  readonly isFirst: boolean
}

const termsOfFullSentence = 8
const decision =
  /\b(?:decid\w+|agreed (?:to|that|on)|we(?:'|’)?ll|we will|i will|must|should not|do not|don't|prefer\w*|need(?:s|ed)? to|deadline|remember that|chose|plan(?:s|ned|ning)? to|conclu\w+|fail(?:s|ed|ure)|fixed|error)\b/i

const piecesOf = (messages: readonly SummarizableMessage[]): readonly Piece[] =>
  quotableTexts(messages).flatMap(({ message, speaker, pieces }) =>
    pieces.map((text, index) => ({ message, speaker, text, isFirst: index === 0 })),
  )

/** A fact counts for less the more sentences repeat it: a name that all of them hold tells nothing. */
const factWorth = (facts: ReadonlySet<string>, holders: ReadonlyMap<string, number>): number =>
  Math.min(
    4,
    [...facts].reduce((sum, fact) => sum + 1 / (holders.get(fact) ?? 1), 0),
  )

/** Courtesies are short, central and say nothing: below a full sentence's worth of terms everything counts for less. */
export const fullness = (termCount: number): number => Math.min(1, termCount / termsOfFullSentence) ** 2

/** A decision may be short ("We must cancel."), but not a mere word. */
const decisionWorth = (text: string, termCount: number): number =>
  decision.test(text) ? 0.4 * Math.min(1, termCount / 3) : 0

const bonusOf = ({ message, text, isFirst }: Piece): number =>
  (message.role === 'user' && message.kind === 'appended' ? 0.15 : 0) +
  (message.kind === 'summary' ? 0.6 : 0) +
  (isFirst ? 0.1 : 0) -
  (/[?？]$/.test(text) ? 0.3 : 0)

const countHolders = (factSets: readonly ReadonlySet<string>[]): ReadonlyMap<string, number> => {
  const holders = new Map<string, number>()
  for (const facts of factSets) for (const fact of facts) holders.set(fact, (holders.get(fact) ?? 0) + 1)
  return holders
}

/** Every sentence that may be quoted, in order, with its worth. */
export const weighSentences = (messages: readonly SummarizableMessage[]): WeighedSentences => {
  const pieces = piecesOf(messages)
  const texts = pieces.map((piece) => piece.text)
  const { vectors, termCount } = sentenceVectors(texts)
  const central = centralities(vectors, termCount)
  const factSets = texts.map(factsOf)
  const holders = countHolders(factSets)
  const sentences = pieces.map((piece, order): Sentence => {
    const facts = factSets[order] ?? new Set()
    const vector = vectors[order] ?? { terms: [], weights: [] }
    const recency = (0.1 * order) / pieces.length
    const value = (central[order] ?? 0) + 0.15 * factWorth(facts, holders) + bonusOf(piece) + recency
    const worth = value * fullness(vector.terms.length) + decisionWorth(piece.text, vector.terms.length)
    return { order, speaker: piece.speaker, text: piece.text, facts, vector, worth }
  })
  return { sentences, termCount }
}
