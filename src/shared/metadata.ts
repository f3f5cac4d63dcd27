/** Limits of every metadata object, whatever it belongs to. */
import { AppError, type FieldError } from './errors.ts'
import { byteLengthOfJson, depthOf } from './json-limits.ts'

export const metadataBytesMax = 8_192
export const metadataDepthMax = 5

export type Metadata = Readonly<Record<string, unknown>>

export const metadataErrors = (metadata: Metadata, pointer = '/metadata'): readonly FieldError[] => {
  if (depthOf(metadata) > metadataDepthMax)
    return [{ pointer, detail: `must not be nested deeper than ${metadataDepthMax} levels` }]
  if (byteLengthOfJson(metadata) > metadataBytesMax)
    return [{ pointer, detail: `must not be larger than ${metadataBytesMax} bytes as JSON` }]
  return []
}

/** @throws AppError `request.invalid_metadata` (422) */
export const ensureMetadata = (metadata: Metadata | undefined): void => {
  const errors = metadata === undefined ? [] : metadataErrors(metadata)
  if (errors.length > 0)
    throw new AppError({
      code: 'request.invalid_metadata',
      status: 422,
      detail: 'The metadata is too large or too deep.',
      errors,
    })
}
