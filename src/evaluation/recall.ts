/**
 * Recall at k by the usual protocol: of a question's gold ids, the fraction that stands among the first k ranked ids;
 * a set's figure is the mean over its questions, so that a question counts once however much evidence it has.
 */

/** 0..1. A gold id that no memory has counts as missed. @throws RangeError without gold ids: such a question has no recall */
export const recallAt = (goldIds: readonly string[], rankedIds: readonly string[], k: number): number => {
  const gold = new Set(goldIds)
  if (gold.size === 0) throw new RangeError('A question without evidence has no recall.')
  const found = new Set(rankedIds.slice(0, k).filter((id) => gold.has(id)))
  return found.size / gold.size
}

/** NaN for no values. */
export const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

/** Standard deviation of a sample (n - 1); 0 for fewer than two values. */
export const deviationOf = (values: readonly number[]): number => {
  if (values.length < 2) return 0
  const mean = meanOf(values)
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1))
}
