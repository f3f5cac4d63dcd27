/**
 * A summary without a model: the sentences of the span that say most, as they were said. They are weighed
 * (weigh-sentences.ts) and taken one by one by maximal marginal relevance (Carbonell and Goldstein 1998): worth, plus
 * facts not yet covered, minus the likeness to what is taken already; near repetitions are never taken. What was taken
 * is shown in the order of the conversation, with who said it.
 *
 * What must not be quoted (quotable-text.ts) is named instead, so that whoever reads the summary knows that something
 * was there and how to get it again; where nothing can be quoted, that is all the summary says.
 *
 * Deterministic: ties go to the earlier sentence. Every line fits the rest of `tokensMax`, and the whole is counted
 * again.
 */
import { cutText } from '../../shared/cut-text.ts'
import { atOnce, type Steps } from '../../shared/yielding.ts'
import { type Quotable, quotableTexts, type SummarizableMessage } from './quotable-text.ts'
import { addTo, dotWith } from './sentence-vectors.ts'
import { memoryNoteOf, unquotedNotes } from './unquoted-notes.ts'
import { fullness, type Sentence, type WeighedSentences, weighSentences } from './weigh-sentences.ts'

/** `bullets`: a line for each sentence; `prose`: the sentences of one speaker run on. */
export type SummaryStyle = 'bullets' | 'prose'

const candidatesMax = 300
const repetition = 0.7
/** Below this a sentence is not worth its tokens, unless it is all there is. */
const gainMin = 0.1
/** The note on memories takes this share of a summary at most, otherwise it is left out. */
const noteShareMax = 0.25

const lineOf = ({ speaker, text }: Pick<Sentence, 'speaker' | 'text'>): string =>
  speaker === '' ? text : `${speaker}: ${text}`

const writeBullets = (sentences: readonly Sentence[]): readonly string[] =>
  sentences.map((sentence) => `- ${lineOf(sentence)}`)

const writeProse = (sentences: readonly Sentence[]): readonly string[] => {
  const runs: { speaker: string; text: string }[] = []
  for (const { speaker, text } of sentences) {
    const last = runs.at(-1)
    if (last?.speaker === speaker) last.text += speaker === '' ? `\n${text}` : ` ${text}`
    else runs.push({ speaker, text })
  }
  return runs.map(lineOf)
}

const writers: Record<SummaryStyle, (sentences: readonly Sentence[]) => readonly string[]> = {
  bullets: writeBullets,
  prose: writeProse,
}

/** Names what the summary replaces, by place in the session. */
const headerOf = (messages: readonly SummarizableMessage[]): string => {
  const first = messages[0]?.contextPosition ?? 0
  const last = messages.at(-1)?.contextPosition ?? first
  const range = first === last ? `#${first}` : `#${first}-#${last}`
  return `Summary of ${messages.length} message${messages.length === 1 ? '' : 's'} (${range})`
}

type Limit = {
  readonly tokensMax: number
  readonly countText: (text: string) => number
  /** As a tokenizer has it. */
  readonly prepare?: (texts: readonly string[]) => Steps<void>
}

/** More fresh facts than these make a sentence no better. */
const freshFactsMax = 3

const countFresh = (facts: ReadonlySet<string>, covered: ReadonlySet<string>): number => {
  let fresh = 0
  for (const fact of facts) {
    if (covered.has(fact)) continue
    fresh += 1
    if (fresh === freshFactsMax) break
  }
  return fresh
}

/** Greedy maximal marginal relevance within the limit; in the order of choice, best first. */
function* choose(
  { sentences, termCount }: WeighedSentences,
  { tokensMax, countText }: Limit,
): Steps<readonly Sentence[]> {
  const byWorth = (one: Sentence, other: Sentence) => other.worth - one.worth || one.order - other.order
  let open = [...sentences]
    .sort(byWorth)
    .slice(0, candidatesMax)
    .map((sentence) => ({ sentence, likeness: 0 }))
  const covered = new Set<string>()
  const chosen: Sentence[] = []
  const dense = new Float64Array(termCount)
  let tokensLeft = tokensMax
  while (open.length > 0 && tokensLeft > 4) {
    yield
    const gains = open.map(({ sentence, likeness }) => {
      const freshFacts = countFresh(sentence.facts, covered)
      return sentence.worth + 0.1 * freshFacts * fullness(sentence.vector.terms.length) - 0.8 * likeness
    })
    const bestIndex = gains.indexOf(Math.max(...gains))
    const best = open[bestIndex]?.sentence
    if (best === undefined || (chosen.length > 0 && (gains[bestIndex] ?? 0) < gainMin)) break
    open.splice(bestIndex, 1)
    const cost = countText(`\n- ${lineOf(best)}`)
    if (cost > tokensLeft) continue
    tokensLeft -= cost
    chosen.push(best)
    for (const fact of best.facts) covered.add(fact)
    addTo(dense, best.vector)
    open = open
      .map(({ sentence, likeness }) => ({ sentence, likeness: Math.max(likeness, dotWith(dense, sentence.vector)) }))
      .filter(({ likeness }) => likeness < repetition)
    for (const term of best.vector.terms) dense[term] = 0
  }
  return chosen
}

/** Fewer characters of a sentence say nothing. */
const cutCharsMin = 24

/** The beginning of the sentence that says most, where none fits whole; nothing where that does not fit either. */
const chooseCut = ({ sentences }: WeighedSentences, { tokensMax, countText }: Limit): readonly Sentence[] => {
  const [first, ...others] = sentences
  if (first === undefined) return []
  const best = others.reduce((one, other) => (other.worth > one.worth ? other : one), first)
  for (let charsMax = best.text.length - 1; charsMax >= cutCharsMin; charsMax = Math.floor(charsMax * 0.8)) {
    const sentence = { ...best, text: `${cutText(best.text, charsMax).replace(/\s+\S*$/, '')}…` }
    if (countText(`\n- ${lineOf(sentence)}`) <= tokensMax) return [sentence]
  }
  return []
}

/** The longest text that fits. */
const firstThatFits = (texts: readonly string[], { tokensMax, countText }: Limit): string =>
  texts.find((text) => countText(text) <= tokensMax) ?? ''

/**
 * A summary of at most `tokensMax` tokens as `countText` counts them; empty when not even its header and the beginning of
 * one sentence fit. To make a summary shorter than its span, `tokensMax` is `summaryTokensMax` of the span at most.
 */
export function* extractSteps(
  quotables: readonly Quotable[],
  { tokensMax, countText, prepare, style = 'bullets' }: Limit & { readonly style?: SummaryStyle },
): Steps<string> {
  const messages = quotables.map(({ message }) => message)
  if (messages.length === 0) return ''
  const header = headerOf(messages)
  const weighed = yield* weighSentences(quotables)
  if (weighed.sentences.length === 0) {
    const texts = unquotedNotes(messages).map((notes) => [header, ...notes].join('\n'))
    return firstThatFits(texts, { tokensMax, countText })
  }
  const memoryNote = memoryNoteOf(messages)
  const note = memoryNote !== null && countText(memoryNote) <= tokensMax * noteShareMax ? [memoryNote] : []
  const frame = countText([header, ...note].join('\n'))
  const limit = { tokensMax: tokensMax - frame, countText }
  const whole = yield* choose(weighed, limit)
  let chosen = whole.length > 0 ? whole : chooseCut(weighed, limit)
  while (chosen.length > 0) {
    const inOrder = [...chosen].sort((one, other) => one.order - other.order)
    const text = [header, ...writers[style](inOrder), ...note].join('\n')
    if (prepare !== undefined) yield* prepare([text])
    if (countText(text) <= tokensMax) return text
    chosen = chosen.slice(0, -1)
    yield
  }
  return ''
}

/** `extractSteps` at once, of what may be quoted of the messages. */
export const summarizeExtractively = ({
  messages,
  ...options
}: Limit & { readonly messages: readonly SummarizableMessage[]; readonly style?: SummaryStyle }): string =>
  atOnce(extractSteps(quotableTexts(messages), options))
