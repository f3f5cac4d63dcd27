/** How a memory's row becomes a point of the index. Pure, so that a rebuilt index equals the one that was lost. */
import type { IndexPoint, SourcePosition } from '../../ports/vector-index.ts'
import { inSlices, type Steps } from '../../shared/yielding.ts'
import { facetsOf } from './facets.ts'
import type { IndexableRow } from './index.repository.ts'
import { lexicalTextOf, sparseSteps } from './lexical.ts'

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

/** A bracketed note (an image's caption, a stage direction) may follow the question mark. */
const endsByAsking = /[?？؟][\s"'”’»)*_]*(?:\[[^\][]*\]\s*)?$/u
/** A mark and a note further from the end are not looked for, so that the work has a bound. */
const endCharacters = 500

const sourceOf = (row: IndexableRow): SourcePosition | null => {
  if (row.source_id === null || row.source_position === null) return null
  const asks = endsByAsking.test(row.content.slice(-endCharacters))
  return { sourceId: row.source_id, position: row.source_position, ...(asks ? { asks } : {}) }
}

/** The point with this content's vectors and facets, or as much of them as somebody looks at. */
export const pointWith = (row: IndexableRow, parts: Pick<IndexPoint, 'dense' | 'sparse' | 'facets'>): IndexPoint => ({
  memoryId: row.memory_id,
  revision: row.revision,
  ...parts,
  source: sourceOf(row),
  expiresAtMs: row.expires_at === null ? null : Date.parse(row.expires_at),
})

export const textOfRow = (row: IndexableRow): string =>
  lexicalTextOf({
    content: row.content,
    occurredAt: row.occurred_at,
    occurredOffsetMinutes: row.occurred_offset_minutes,
  })

export const storedVectorOf = ({ embedding }: IndexableRow): Float32Array | null =>
  embedding === null ? null : decodeVector(embedding)

/** The point of a row; the words of a long text take a while. */
export function* indexPointSteps(row: IndexableRow, dense: Float32Array | null): Steps<IndexPoint> {
  const sparse = yield* sparseSteps(textOfRow(row))
  return pointWith(row, { dense, sparse, facets: facetsOf(row.metadata, row.memory_type) })
}

function* indexPointsSteps<Row extends IndexableRow>(
  rows: readonly Row[],
  vectorOf: (row: Row) => Float32Array | null,
): Steps<readonly IndexPoint[]> {
  const points: IndexPoint[] = []
  for (const row of rows) {
    points.push(yield* indexPointSteps(row, vectorOf(row)))
    yield
  }
  return points
}

/** In slices, since a full page of long texts takes seconds. */
export const indexPointsOf = <Row extends IndexableRow>(
  rows: readonly Row[],
  { vectorOf = storedVectorOf, signal }: { vectorOf?: (row: Row) => Float32Array | null; signal?: AbortSignal } = {},
): Promise<readonly IndexPoint[]> => inSlices(indexPointsSteps(rows, vectorOf), signal)
