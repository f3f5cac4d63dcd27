/**
 * A metadata filter is an AND of exact matches. Each top-level pair of a memory's metadata becomes one facet, a short
 * hash of its key and canonical value, so any index answers any filter with one keyword field, before its top-k.
 * `type` is the memory's type, whatever the metadata says under that name.
 */
import { createHash } from 'node:crypto'
import { canonicalJson } from '../../shared/json-limits.ts'
import type { Metadata } from '../../shared/metadata.ts'

const facetOf = (key: string, value: unknown): string =>
  createHash('sha256')
    .update(`${key}\u0000${canonicalJson(value)}`)
    .digest('base64url')
    .slice(0, 22)

export const facetsOf = (metadata: Metadata, memoryType: string | null): readonly string[] => {
  const pairs = memoryType === null ? metadata : { ...metadata, type: memoryType }
  return Object.entries(pairs).map(([key, value]) => facetOf(key, value))
}
