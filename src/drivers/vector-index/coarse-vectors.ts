/**
 * Vectors in 8 bits a dimension, to rule out most of them before the floats are read: a quarter of the bytes, and sums
 * of whole numbers. With v' the vector that the codes of v stand for, and q' the query in 16 bits,
 *   |q.v - q'.v'| <= |q| |v - v'| + |q - q'| |v'|   (Cauchy and Schwarz),
 * and both lengths on the right are known exactly, so each row has a score from below and from above that the true one
 * cannot leave. A row whose highest possible score is below the k-th best lowest possible one is none of the best k;
 * nothing is approximate about what remains.
 *
 * Invariant: `floor` and `ceiling` of a row enclose its score in floats, as `scan-vectors` computes it.
 */
import { type CoarseKernel, createCoarseKernel, kernelStep } from './coarse-kernel.ts'
import { createRecordBlocks } from './record-blocks.ts'

/** Of rows in a block of vectors: 256, which fit the processor's cache. The floats are kept in the same blocks. */
export const vectorBlockShift = 8
export const coarseBlockRows = 1 << vectorBlockShift
const codeMax = 127
const queryCodeMax = 32_767
/** What rounding to 32-bit floats, here and in a score, can add up to; generously. */
const rounding = 1e-6
/** The distance between the smallest 32-bit floats. */
const smallest = 2 ** -149

/** Words of a row's margins: what a code stands for, |v'|, |v - v'|. */
const marginWidth = 3
const scaleAt = 0
const lengthAt = 1
const errorAt = 2

export type Bounds = { readonly floors: Float64Array; readonly ceilings: Float64Array }

/** Bounds of the rows of one block, by the row's place in it; valid until the next call. */
export type BoundBlock = (block: number) => Bounds

export type CoarseVectors = {
  set(row: number, vector: Float32Array): void
  /** A pass over the vectors with one query. Another pass may run between its calls, with the same answers. */
  prepare(query: Float32Array): BoundBlock
  bytes(): number
}

type Kit = { readonly kernel: CoarseKernel; readonly bounds: Bounds }

/** Kernels hold nothing between calls, so all spaces of one width share one. */
const kits = new Map<number, Kit>()
const kitOf = (width: number): Kit => {
  const known = kits.get(width)
  if (known !== undefined) return known
  const bounds = { floors: new Float64Array(coarseBlockRows), ceilings: new Float64Array(coarseBlockRows) }
  const kit = { kernel: createCoarseKernel(width, coarseBlockRows), bounds }
  kits.set(width, kit)
  return kit
}

const largestOf = (vector: Float32Array): number => {
  let largest = 0
  for (let at = 0; at < vector.length; at += 1) largest = Math.max(largest, Math.abs(vector[at] ?? 0))
  return largest
}

/** Writes the nearest codes and answers what they stand for; what is not finite gets codes of zero and no bounds. */
const encode = (vector: Float32Array, codes: Int8Array | Int16Array, max: number) => {
  const scale = Math.fround(largestOf(vector) / max)
  let [length, error] = [0, 0]
  for (let at = 0; at < vector.length; at += 1) {
    const value = vector[at] ?? 0
    const code = scale > 0 ? Math.max(-max, Math.min(max, Math.round(value / scale))) : 0
    codes[at] = code
    length += (code * scale) ** 2
    error += (value - code * scale) ** 2
  }
  if (Number.isFinite(length + error)) return { scale, length: Math.sqrt(length), error: Math.sqrt(error) }
  codes.fill(0)
  return { scale: 0, length: 0, error: Number.POSITIVE_INFINITY }
}

export const createCoarseVectors = (dimensions: number): CoarseVectors => {
  const width = Math.ceil(dimensions / kernelStep) * kernelStep
  const codes = createRecordBlocks(width / 4, vectorBlockShift)
  const margins = createRecordBlocks(marginWidth, vectorBlockShift)
  const bytesOf = (block: number): Int8Array => {
    const { buffer } = codes.ints[block] ?? new Int32Array(0)
    return new Int8Array(buffer)
  }

  const prepare = (query: Float32Array): BoundBlock => {
    const { kernel, bounds } = kitOf(width)
    const queryCodes = new Int16Array(width)
    // The sum of products has to stay within 32 bits, whatever the dimensions.
    const encoded = encode(query, queryCodes, Math.min(queryCodeMax, Math.floor((2 ** 31 - 1) / (codeMax * width))))
    const total = Math.hypot(...query)
    const queryLength = Number.isFinite(total) ? total : Number.POSITIVE_INFINITY
    return (block) => {
      const rowMargins = margins.floats[block] ?? new Float32Array(0)
      const count = rowMargins.length / marginWidth
      if (count === 0) return bounds
      kernel.query.set(queryCodes)
      const products = kernel.dots(bytesOf(block), count)
      for (let row = 0; row < count; row += 1) {
        const at = row * marginWidth
        const [length, error] = [rowMargins[at + lengthAt] ?? 0, rowMargins[at + errorAt] ?? 0]
        const score = (products[row] ?? 0) * (rowMargins[at + scaleAt] ?? 0) * encoded.scale
        const margin =
          queryLength * error + encoded.error * length + rounding * queryLength * (length + error) + smallest
        bounds.floors[row] = score - margin
        bounds.ceilings[row] = score + margin
      }
      return bounds
    }
  }

  return {
    set: (row, vector) => {
      codes.ensure(row)
      margins.ensure(row)
      const place = row & codes.mask
      const target = bytesOf(row >>> vectorBlockShift).subarray(place * width, (place + 1) * width)
      const { scale, length, error } = encode(vector, target, codeMax)
      margins.floats[row >>> vectorBlockShift]?.set([scale, length, error], place * marginWidth)
    },
    prepare,
    bytes: () => codes.bytes() + margins.bytes(),
  }
}
