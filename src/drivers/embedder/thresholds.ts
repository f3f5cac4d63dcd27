/**
 * Thresholds for a model that nobody has calibrated, from texts whose likeness is known (anchors.ts): models differ in
 * where their cosines lie and in how wide they spread.
 */
import type { EmbeddingPurpose, SimilarityThresholds } from '../../ports/embedder.ts'
import { statementAnchors, topicAnchors } from './anchors.ts'
import { cosine } from './unit-vector.ts'

/** Cosines of anchor pairs. */
export type AnchorSimilarities = {
  readonly onTopic: readonly number[]
  readonly offTopic: readonly number[]
  readonly restated: readonly number[]
  readonly neighbouring: readonly number[]
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** The value that 95 % of the values do not exceed. */
const nearlyHighest = (values: readonly number[]): number =>
  [...values].sort((one, other) => one - other)[Math.floor(values.length * 0.95)] ?? 0

/** Where between the mean of neighbours (0) and that of restatements (1) a duplicate begins. */
const duplicatePart = 0.75

const threshold = (value: number): number => Math.min(1, Math.max(0, Math.round(value * 1_000) / 1_000))

/**
 * Rounded to thousandths; all lists hold at least one cosine. Both rules lean to precision and were chosen on the
 * labelled texts of the project with two unlike models (scripts/calibrate-thresholds.ts). FILTER begins at the typical
 * cosine of one criterion and a message on its topic, not below it, because the best of a criterion's parts counts; and
 * never among the cosines of pairs off topic.
 */
export const thresholdsFromAnchors = (similarities: AnchorSimilarities): SimilarityThresholds => {
  const { onTopic, offTopic, restated, neighbouring } = similarities
  return {
    filter: threshold(Math.max(mean(onTopic), nearlyHighest(offTopic))),
    duplicate: threshold(mean(neighbouring) + duplicatePart * (mean(restated) - mean(neighbouring))),
  }
}

type EmbedTexts = (texts: readonly string[], purpose: EmbeddingPurpose) => Promise<readonly Float32Array[]>

/** Compares the anchors as the service compares texts: criteria as queries, messages and memories as passages. */
export const measureAnchors = async (embed: EmbedTexts): Promise<AnchorSimilarities> => {
  const criteria = await embed(
    topicAnchors.map(({ criterion }) => criterion),
    'query',
  )
  const passages = await embed(
    [
      ...topicAnchors.map(({ message }) => message),
      ...statementAnchors.flatMap(({ statement, restatement, neighbour }) => [statement, restatement, neighbour]),
    ],
    'passage',
  )
  const topicCosines = criteria.map((criterion) =>
    passages.slice(0, topicAnchors.length).map((passage) => cosine(criterion, passage)),
  )
  const statements = passages.slice(topicAnchors.length)
  const cosinesWithStatement = (offset: number): readonly number[] =>
    statementAnchors.map((_, index) => {
      const [statement, other] = [statements[index * 3], statements[index * 3 + offset]]
      return statement === undefined || other === undefined ? 0 : cosine(statement, other)
    })
  return {
    onTopic: topicCosines.flatMap((row, topic) => row.filter((_, index) => index === topic)),
    offTopic: topicCosines.flatMap((row, topic) => row.filter((_, index) => index !== topic)),
    restated: cosinesWithStatement(1),
    neighbouring: cosinesWithStatement(2),
  }
}
