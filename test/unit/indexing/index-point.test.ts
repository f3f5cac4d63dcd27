import { describe, expect, it } from 'vitest'
import type { IndexableRow } from '../../../src/modules/indexing/index.repository.ts'
import { indexPointSteps } from '../../../src/modules/indexing/index-point.ts'
import { atOnce } from '../../../src/shared/yielding.ts'

const makeRow = (changes: Partial<IndexableRow>): IndexableRow => ({
  memory_id: 'mem_00000000000000000000000000000001',
  revision: 1,
  content: 'We met.',
  content_revision: 1,
  memory_type: 'fact',
  metadata: {},
  source_id: 'chat',
  source_position: 3,
  occurred_at: null,
  occurred_offset_minutes: null,
  expires_at: null,
  embedding: null,
  error: null,
  ...changes,
})

const sourceOf = (content: string) => atOnce(indexPointSteps(makeRow({ content }), null)).source

describe('the source of a point', () => {
  it('says that the piece asks when a question ends it, a quote or a bracketed note after it aside', () => {
    const asking = { sourceId: 'chat', position: 3, asks: true }
    for (const content of [
      'Ann: Fine! And you?',
      'So you said "why?" ',
      'Is it this? [image: a red car]',
      'どこ？',
      `${'long '.repeat(10_000)}?`,
    ])
      expect(sourceOf(content)).toEqual(asking)
  })

  it('does not call a piece asking for a question mark before its end', () => {
    for (const content of ['Why? Because it rained.', 'See http://example.org/?page=2', '[image: who?]', ''])
      expect(sourceOf(content)).toEqual({ sourceId: 'chat', position: 3 })
  })

  it('is absent where the memory has none, whatever the memory asks', () => {
    expect(
      atOnce(indexPointSteps(makeRow({ content: 'Why?', source_id: null, source_position: null }), null)).source,
    ).toBeNull()
  })

  it('comes to an end on a text that is all marks and brackets', () => {
    for (const content of ['?'.repeat(30_000), `?${' '.repeat(30_000)}`, `?${'[ '.repeat(15_000)}`]) {
      expect(sourceOf(content)).toMatchObject({ sourceId: 'chat' })
    }
  })
})
