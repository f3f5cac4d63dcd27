/**
 * What a sentence is worth in a summary: its centrality (sentence-vectors.ts), and what makes it matter to an agent:
 * facts, decisions and obligations, the user's own words, an opening sentence, an earlier summary, and being recent.
 */
import { mapSteps, type Steps } from '../../shared/yielding.ts'
import { factsOf } from './facts-of.ts'
import type { Quotable, SummarizableMessage } from './quotable-text.ts'
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

/** More are never weighed: some hundred are shown. Of more than these the shortest are left out, which say least. */
const sentencesMax = 20_000

const withoutShortest = (pieces: readonly Piece[]): readonly Piece[] => {
  if (pieces.length <= sentencesMax) return pieces
  const lengths = Uint32Array.from(pieces, ({ text }) => text.length).sort()
  const shortest = lengths.at(-sentencesMax) ?? 0
  return pieces.filter(({ text }) => text.length >= shortest).slice(-sentencesMax)
}

function* piecesOf(quotables: readonly Quotable[]): Steps<readonly Piece[]> {
  const all: Piece[] = []
  for (const { message, speaker, pieces } of quotables) {
    for (const [index, text] of pieces.entries()) all.push({ message, speaker, text, isFirst: index === 0 })
    yield
  }
  return withoutShortest(all)
}

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

function* countHolders(factSets: readonly ReadonlySet<string>[]): Steps<ReadonlyMap<string, number>> {
  const holders = new Map<string, number>()
  for (const facts of factSets) {
    for (const fact of facts) holders.set(fact, (holders.get(fact) ?? 0) + 1)
    yield
  }
  return holders
}

/** Every sentence that may be quoted, in order, with its worth. */
export function* weighSentences(quotables: readonly Quotable[]): Steps<WeighedSentences> {
  const pieces = yield* piecesOf(quotables)
  const texts = pieces.map((piece) => piece.text)
  const { vectors, termCount } = yield* sentenceVectors(texts)
  const central = yield* centralities(vectors, termCount)
  const factSets = yield* mapSteps(texts, factsOf)
  const holders = yield* countHolders(factSets)
  const sentences = yield* mapSteps(pieces, (piece, order): Sentence => {
    const facts = factSets[order] ?? new Set()
    const vector = vectors[order] ?? { terms: [], weights: [] }
    const recency = (0.1 * order) / pieces.length
    const value = (central[order] ?? 0) + 0.15 * factWorth(facts, holders) + bonusOf(piece) + recency
    const worth = value * fullness(vector.terms.length) + decisionWorth(piece.text, vector.terms.length)
    return { order, speaker: piece.speaker, text: piece.text, facts, vector, worth }
  })
  return { sentences, termCount }
}
