/**
 * FILTER's criteria may be a sentence or a bag of words ("weather, pets, lunch"). The vector of a bag lies between its
 * words and near none of them, so a message is scored against the whole and against each part, and the best counts.
 */
import { cosineOf } from '../../shared/cosine.ts'

const partsMax = 16

/** The criteria whole, then its comma-, semicolon- or line-separated parts: trimmed, without repeats, 17 at most. */
export const criteriaParts = (criteria: string): readonly string[] => {
  const whole = criteria.trim()
  if (whole === '') return []
  const parts = whole.split(/[,;\n，、；]/u).map((part) => part.trim())
  const unique = new Map<string, string>([[whole.toLowerCase(), whole]])
  for (const part of parts) {
    if (unique.size > partsMax) break
    if (/[\p{L}\p{N}]/u.test(part) && !unique.has(part.toLowerCase())) unique.set(part.toLowerCase(), part)
  }
  return [...unique.values()]
}

/** Best cosine of a message over the parts, at most 1; all vectors have unit length. No parts: -1. */
export const bestSimilarity = (message: Float32Array, parts: readonly Float32Array[]): number =>
  parts.reduce((best, part) => Math.max(best, cosineOf(message, part)), -1)
