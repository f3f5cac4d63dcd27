/** Scales in place to length 1. False when it cannot: a number is not finite, or all are zero. */
export const normalise = (vector: Float32Array): boolean => {
  let sum = 0
  for (const value of vector) sum += value * value
  if (!Number.isFinite(sum) || sum === 0) return false
  const scale = 1 / Math.sqrt(sum)
  for (let index = 0; index < vector.length; index += 1) vector[index] = (vector[index] ?? 0) * scale
  return true
}

/** Cosine of two unit vectors, at most 1. */
export const cosine = (one: Float32Array, other: Float32Array): number => {
  let sum = 0
  for (let index = 0; index < one.length; index += 1) sum += (one[index] ?? 0) * (other[index] ?? 0)
  return Math.min(1, sum)
}

/**
 * Embeds the texts that have something to embed and puts zero vectors in the place of blank ones: servers and models
 * treat those each in their own way, from an error to a vector of nothing.
 */
export const embedNonBlank = async (
  texts: readonly string[],
  embed: (texts: readonly string[], positions: readonly number[]) => Promise<readonly Float32Array[]>,
  dimensions: () => number,
): Promise<readonly Float32Array[]> => {
  const positions = texts.flatMap((text, position) => (text.trim() === '' ? [] : [position]))
  const found =
    positions.length === 0
      ? []
      : await embed(
          positions.map((position) => texts[position] ?? ''),
          positions,
        )
  const vectors: Float32Array[] = texts.map(() => new Float32Array(0))
  for (const [index, position] of positions.entries()) vectors[position] = found[index] ?? new Float32Array(0)
  return vectors.map((vector) => (vector.length === 0 ? new Float32Array(dimensions()) : vector))
}
