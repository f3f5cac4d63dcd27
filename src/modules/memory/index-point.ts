/** How a memory's row becomes a point of the index. Pure, so that a rebuilt index equals the one that was lost. */
import type { IndexPoint, SourcePosition } from '../../ports/vector-index.ts'
import { facetsOf } from './facets.ts'
import type { IndexableRow } from './index.repository.ts'
import { lexicalTextOf, sparseVectorOf } from './lexical.ts'

export const encodeVector = (vector: Float32Array): Buffer => {
  const bytes = Buffer.alloc(vector.length * 4)
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4)
  return bytes
}

export const decodeVector = (bytes: Buffer): Float32Array => {
  const vector = new Float32Array(bytes.length / 4)
  for (let index = 0; index < vector.length; index += 1) vector[index] = bytes.readFloatLE(index * 4)
  return vector
}

const sourceOf = (row: IndexableRow): SourcePosition | null =>
  row.source_id === null || row.source_position === null
    ? null
    : { sourceId: row.source_id, position: row.source_position }

export const indexPointOf = (row: IndexableRow, dense: Float32Array | null): IndexPoint => ({
  memoryId: row.memory_id,
  revision: row.revision,
  dense,
  sparse: sparseVectorOf(lexicalTextOf({ content: row.content, occurredAt: row.occurred_at })),
  facets: facetsOf(row.metadata, row.memory_type),
  source: sourceOf(row),
  expiresAtMs: row.expires_at === null ? null : Date.parse(row.expires_at),
})
