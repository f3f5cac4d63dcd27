/** The product of two unit vectors in floats can be a little off; a cosine is never above 1 or below -1. */
export const toCosine = (product: number): number => Math.max(-1, Math.min(1, product))

/** Of two unit vectors of one length. */
export const cosineOf = (one: Float32Array, other: Float32Array): number => {
  let sum = 0
  for (let index = 0; index < one.length; index += 1) sum += (one[index] ?? 0) * (other[index] ?? 0)
  return toCosine(sum)
}
