/**
 * A metadata filter is an AND of exact matches. Each top-level pair of a memory's metadata becomes one facet, a short
 * hash of its key and canonical value, so any index answers any filter with one keyword field, before its top-k.
 * `type` is the memory's type, whatever the metadata says under that name; a memory without a type may have a `type` in
 * its metadata, so what has a type of its own has a facet of its own, too.
 */
import { createHash } from 'node:crypto'
import { canonicalJson } from '../../shared/json-limits.ts'
import type { Metadata } from '../../shared/metadata.ts'

const facetOf = (key: string, value: unknown): string =>
  createHash('sha256')
    .update(`${key}\u0000${canonicalJson(value)}`)
    .digest('base64url')
    .slice(0, 22)

/** No key of metadata can hold NUL. */
export const typeFacetOf = (memoryType: string): string => facetOf('\u0000memory_type', memoryType)

export const facetsOf = (metadata: Metadata, memoryType: string | null): readonly string[] => {
  const pairs = memoryType === null ? metadata : { ...metadata, type: memoryType }
  const facets = Object.entries(pairs).map(([key, value]) => facetOf(key, value))
  return memoryType === null ? facets : [...facets, typeFacetOf(memoryType)]
}
