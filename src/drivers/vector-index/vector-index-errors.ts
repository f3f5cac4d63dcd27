/** The errors both drivers throw. The vendor's own error travels as the cause, never in the text. */
import { AppError } from '../../shared/errors.ts'

/** 503, retryable: it cannot be reached, is overloaded, or missed the deadline. */
export const vectorIndexUnavailable = (detail: string, cause?: unknown) =>
  new AppError({ code: 'vector_index.unavailable', status: 503, retryable: true, retryAfterSeconds: 1, detail, cause })

/** 500, not retryable: it is there, but not what this service needs. Somebody has to look. */
export const vectorIndexMisbehaved = (detail: string, cause?: unknown) =>
  new AppError({ code: 'vector_index.misbehaved', status: 500, detail, cause })

/** @throws AppError `vector_index.misbehaved` unless the vector is absent or has the index's dimensions */
export const ensureDimensions = (dense: Float32Array | null, dimensions: number): void => {
  if (dense === null || dense.length === dimensions) return
  const detail = `A vector has ${dense.length} dimensions, the vector index ${dimensions}. Reindex with the present embedder.`
  throw vectorIndexMisbehaved(detail)
}
