import { describe, expect, it } from 'vitest'
import type { IndexableRow } from '../../../src/modules/indexing/index.repository.ts'
import { indexPointSteps } from '../../../src/modules/indexing/index-point.ts'
import { termIdsOf } from '../../../src/modules/indexing/lexical.ts'
import { overlayBounds, overlaySteps } from '../../../src/modules/memory/read-overlay.ts'
import { atOnce } from '../../../src/shared/yielding.ts'

const rowOf = (memoryId: string, content: string, more: Partial<IndexableRow> = {}): IndexableRow => ({
  ...{ memory_id: memoryId, revision: 1, content_revision: 1, content, memory_type: null, metadata: {} },
  ...{
    source_id: null,
    source_position: null,
    occurred_at: null,
    occurred_offset_minutes: null,
    expires_at: null,
    embedding: null,
    error: null,
  },
  ...more,
})

describe('what a search reads of memories that the index does not hold yet', () => {
  it('M4: has for the terms of the query the weights that the index would have, to the bit', () => {
    const row = rowOf('one', 'Ana likes green tea, and Ana sells tea in Porto since 2019.', {
      occurred_at: '2023-05-08T00:00:00Z',
    })
    const termIds = termIdsOf('tea in Porto, May')
    const [point] = atOnce(overlaySteps([row], { termIds, metadataFilter: {} }))
    const { indices, values } = atOnce(indexPointSteps(row, null)).sparse
    const wanted = indices.flatMap((id, at) => (termIds.includes(id) ? [[id, values[at]]] : []))
    expect(wanted).toHaveLength(3)
    expect(point?.sparse.indices.map((id, at) => [id, point.sparse.values[at]])).toEqual(wanted)
  })

  it('M9: has the facets that the filter asks for', () => {
    const row = rowOf('one', 'tea', { metadata: { topic: 'drinks', other: 1 }, memory_type: 'fact' })
    const [point] = atOnce(overlaySteps([row], { termIds: [], metadataFilter: { topic: 'drinks', absent: 1 } }))
    const whole = atOnce(indexPointSteps(row, null)).facets
    expect(point?.facets.every((facet) => whole.includes(facet))).toBe(true)
    expect(point?.facets).toContain(
      atOnce(indexPointSteps(rowOf('two', 'x', { metadata: { topic: 'drinks' } }), null)).facets[0],
    )
  })

  it('stops when the terms are too many, and keeps what came first', () => {
    const long = Array.from({ length: 16_000 }, (_, index) => String.fromCodePoint(0x4e00 + index)).join('')
    const rows = Array.from({ length: 40 }, (_, index) => rowOf(`m${index}`, long))
    const points = atOnce(overlaySteps(rows, { termIds: termIdsOf('\u4e00'), metadataFilter: {} }))
    expect(points.length).toBe(Math.ceil(overlayBounds.termsMax / (2 * 16_000 - 1)))
    expect(points[0]?.memoryId).toBe('m0')
  })
})
