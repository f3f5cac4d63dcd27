/**
 * Thresholds for a model that nobody has calibrated, from texts whose likeness is known (anchors.ts). Models differ in
 * where their cosines lie and in how wide they spread, so a threshold is a place between two groups of cosines: those
 * that should stay below it and those that should reach it.
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

/**
 * Part of the way from the mean of the pairs that should stay below to the mean of those that should reach it. Chosen on
 * the labelled messages of the project with two unlike models (scripts/calibrate-thresholds.ts).
 */
const filterPart = 0.6
const duplicatePart = 0.6

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

const between = (below: readonly number[], above: readonly number[], part: number): number => {
  const threshold = mean(below) + part * (mean(above) - mean(below))
  return Math.min(1, Math.max(0, Math.round(threshold * 1_000) / 1_000))
}

/** Rounded to thousandths. All lists hold at least one cosine. */
export const thresholdsFromAnchors = (similarities: AnchorSimilarities): SimilarityThresholds => ({
  filter: between(similarities.offTopic, similarities.onTopic, filterPart),
  duplicate: between(similarities.neighbouring, similarities.restated, duplicatePart),
})

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
