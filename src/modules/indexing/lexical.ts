/**
 * The words of a memory as a sparse vector, so that the dot product with a query's vector is a BM25 score.
 *
 * BM25 is split so that a stored vector depends on nothing but its own text: the memory's side holds the saturated term
 * frequency, with a fixed reference length where BM25 has the average one (an average moves with every write, and would
 * make every stored vector stale); the query's side holds the idf, from the agent's own counts at the moment of asking.
 *
 * Invariants: the same text always gives the same terms, for memory and query alike; a text that contains a letter or a
 * digit has at least one term; work is bounded by `analyzedCharactersMax` whatever the text; indices are ascending and
 * unique; values are positive and exactly representable as 32-bit floats, because that is what indexes store.
 */

import { stemmer } from 'stemmer'
import type { SparseVector } from '../../ports/vector-index.ts'
import { streamSafe } from '../../shared/stream-safe.ts'
import { atOnce, type Steps } from '../../shared/yielding.ts'
import { baseFormOf, stopWords } from './stop-words.ts'
import { termIdOf } from './term-id.ts'

export const analyzedCharactersMax = 32_768
const termCharactersMax = 64
/** Between two looks at whether others are to have their turn: well below a millisecond. */
const formsPerStep = 1_024

/** BM25 (Robertson and Zaragoza, 2009) with the settings that Anserini made customary for short passages. */
const saturation = 0.9
const lengthWeight = 0.4
const referenceLength = 32

/** After a Latin or Greek letter, and on Cyrillic ё, which is mostly typed as е. */
const optionalAccents = /(?<=\p{Script=Latin}|\p{Script=Greek}|е)\p{Mn}+/gu
const negations = /(?<=n)['’](?=t(?!\p{L}))/gu
const clitics = /['’](?:s|re|ve|ll|d|m)(?![\p{L}\p{N}])/gu
const digitGroupCommas = /(?<=\d),(?=\d{3}(?!\d))/g
const words = /[\p{L}\p{N}][\p{L}\p{N}\p{M}]*/gu
/** Scripts written without spaces; Hangul is among them because its particles cling to the word. */
const unspaced =
  '\\p{scx=Han}\\p{scx=Hiragana}\\p{scx=Katakana}\\p{scx=Hangul}\\p{scx=Thai}\\p{scx=Lao}\\p{scx=Khmer}\\p{scx=Myanmar}'
const unspacedRun = new RegExp(`[${unspaced}]`, 'u')
const runs = new RegExp(`[${unspaced}]+|[^${unspaced}]+`, 'gu')
const asciiWord = /^[a-z]+$/

/**
 * Terms of the text in reading order, repeated as often as they occur. Case, width, accents and English inflection are
 * folded; stop words are left out, unless the text consists of nothing else ("Who am I?"). Runs of a script without
 * spaces give each character and each pair of neighbours: pairs stand for words, single characters let a one-character
 * word be found.
 */
function* analyzeSteps(text: string): Steps<string[]> {
  const folded = fold(text)
  yield
  const forms: string[] = []
  for (const [at, word] of (folded.match(words) ?? []).entries()) {
    yield* splitByScript(word, forms)
    if (at % formsPerStep === 0) yield
  }
  yield
  const kept = forms.filter((form) => !isStopWord(form))
  const terms = kept.length > 0 ? kept : forms
  for (const [at, form] of terms.entries()) {
    terms[at] = stemOf(form)
    if (at % formsPerStep === 0) yield
  }
  return terms
}

/** `analyzeSteps` at once, for texts that are known to be short. */
export const analyzeText = (text: string): string[] => atOnce(analyzeSteps(text))

function fold(text: string): string {
  // A compatibility character can expand eighteenfold, hence the second cut.
  return streamSafe(text.slice(0, analyzedCharactersMax))
    .normalize('NFKD')
    .slice(0, 2 * analyzedCharactersMax)
    .toLowerCase()
    .replaceAll('ß', 'ss')
    .replaceAll('ς', 'σ')
    .replace(optionalAccents, '')
    .normalize('NFC')
    .replace(negations, '')
    .replace(clitics, '')
    .replace(digitGroupCommas, '')
}

function* splitByScript(word: string, forms: string[]): Steps<void> {
  if (!unspacedRun.test(word)) {
    forms.push(word.slice(0, termCharactersMax))
    return
  }
  for (const run of word.match(runs) ?? []) {
    if (unspacedRun.test(run)) yield* splitUnspaced(run, forms)
    else forms.push(run.slice(0, termCharactersMax))
  }
}

/** Slices of the run, since a text has tens of thousands: joined characters would be copied once more to be hashed. */
function* splitUnspaced(run: string, forms: string[]): Steps<void> {
  for (let at = 0, next = afterCharacter(run, 0); at < run.length; ) {
    const end = afterCharacter(run, next)
    forms.push(run.slice(at, next))
    if (end > next) forms.push(run.slice(at, end))
    at = next
    next = end
    // By one or by two at a time.
    if (at % formsPerStep < 2) yield
  }
}

/** Where the character that begins at `at` ends. */
function afterCharacter(text: string, at: number): number {
  return Math.min(text.length, at + ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1))
}

/** The words of both lists are ASCII; most terms of a long text without spaces are not, and are told by their first unit. */
const asciiEnd = 0x80

function isStopWord(form: string): boolean {
  return form.charCodeAt(0) < asciiEnd && stopWords.has(form)
}

function stemOf(form: string): string {
  return form.charCodeAt(0) < asciiEnd && asciiWord.test(form) ? stemmer(baseFormOf.get(form) ?? form) : form
}

const monthNames = 'January February March April May June July August September October November December'.split(' ')

/**
 * What a memory can be found by: its content, and the day it happened in words ("8 May 2023"), as people ask for it. The
 * day is that of the clock which the moment was read from. `occurredAt` is ISO 8601; what is no date adds nothing.
 */
export function lexicalTextOf(memory: {
  readonly content: string
  readonly occurredAt: string | null
  readonly occurredOffsetMinutes?: number | null
}): string {
  if (memory.occurredAt === null) return memory.content
  const date = new Date(Date.parse(memory.occurredAt) + (memory.occurredOffsetMinutes ?? 0) * 60_000)
  const month = monthNames[date.getUTCMonth()]
  if (month === undefined) return memory.content
  // The date comes first so that it is not what a text of full length loses.
  return `${date.getUTCDate()} ${month} ${date.getUTCFullYear()}\n${memory.content}`
}

/** What a term that occurs `count` times weighs in a memory of `length` terms. */
function termWeight(count: number, length: number): number {
  const lengthFactor = saturation * (1 - lengthWeight + (lengthWeight * length) / referenceLength)
  return (count * (saturation + 1)) / (count + lengthFactor)
}

/** The memory's side: tf (k1 + 1) / (tf + k1 (1 - b + b length / reference)) for each distinct term. */
export function* sparseSteps(text: string): Steps<SparseVector> {
  return (yield* sparsePartSteps(text, null)).vector
}

/** `sparseSteps` at once. */
export const sparseVectorOf = (text: string): SparseVector => atOnce(sparseSteps(text))

export type SparsePart = { readonly vector: SparseVector; readonly length: number }

/** Of `sparseSteps` the terms that are wanted, null for all; and how many terms the text has, each as often as it occurs. */
export function* sparsePartSteps(text: string, wanted: ReadonlySet<number> | null): Steps<SparsePart> {
  const terms = yield* analyzeSteps(text)
  const counts = new Map<number, number>()
  for (const [at, term] of terms.entries()) {
    const termId = termIdOf(term)
    if (wanted?.has(termId) !== false) counts.set(termId, (counts.get(termId) ?? 0) + 1)
    if (at % formsPerStep === 0) yield
  }
  const vector = yield* vectorSteps(counts, (count) => termWeight(count, terms.length))
  return { vector, length: terms.length }
}

/** Distinct ids of the text's terms: what the counts are to be looked up for before a query's vector can be built. */
export function* termIdSteps(text: string): Steps<number[]> {
  const terms = yield* analyzeSteps(text)
  const ids = new Set<number>()
  for (const [at, term] of terms.entries()) {
    ids.add(termIdOf(term))
    if (at % formsPerStep === 0) yield
  }
  return [...ids]
}

/** `termIdSteps` at once. */
export const termIdsOf = (text: string): number[] => atOnce(termIdSteps(text))

/** How often terms occur in one agent's memories; never counted over more than one agent. */
export type TermStatistics = {
  readonly documentCount: number
  documentFrequencyOf(termId: number): number
}

/**
 * The query's side: ln(1 + (N - df + 0.5) / (df + 0.5)) for each of its `termIdsOf`, always positive. A term that no counted
 * memory has keeps its weight, since a memory too new to be counted may have it.
 */
export function* queryVectorSteps(termIds: readonly number[], statistics: TermStatistics): Steps<SparseVector> {
  const frequencies = new Map<number, number>()
  for (const [at, termId] of termIds.entries()) {
    frequencies.set(termId, Math.max(0, statistics.documentFrequencyOf(termId)))
    if (at % formsPerStep === 0) yield
  }
  return yield* vectorSteps(frequencies, (frequency) => {
    const absent = Math.max(0, statistics.documentCount - frequency)
    return Math.log(1 + (absent + 0.5) / (frequency + 0.5))
  })
}

/** `queryVectorSteps` at once. */
export const queryVectorOf = (termIds: readonly number[], statistics: TermStatistics): SparseVector =>
  atOnce(queryVectorSteps(termIds, statistics))

function* vectorSteps(numbersById: ReadonlyMap<number, number>, weigh: (value: number) => number): Steps<SparseVector> {
  // Sorted as numbers and not by a function, which tens of thousands of ids would call a million times.
  const indices = Array.from(Uint32Array.from(numbersById.keys()).sort())
  yield
  const values: number[] = []
  for (const id of indices) {
    values.push(Math.fround(weigh(numbersById.get(id) ?? 0)))
    if (values.length % formsPerStep === 0) yield
  }
  return { indices, values }
}
