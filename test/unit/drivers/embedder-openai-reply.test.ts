import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { retryAfterMs } from '../../../src/drivers/calls/retry-after.ts'
import { readEmbeddings } from '../../../src/drivers/embedder/openai-reply.ts'
import { isAppError } from '../../../src/shared/errors.ts'

const recordedBody = async (name: string) =>
  JSON.parse(await readFile(new URL(`../../fixtures/vllm/${name}.json`, import.meta.url), 'utf8')).body

describe('a recorded reply', () => {
  it('holds the same vector as numbers and as base64', async () => {
    const [numbers] = readEmbeddings(await recordedBody('emb_single'), 1)
    const [base64] = readEmbeddings(await recordedBody('emb_base64'), 1)
    expect(numbers).toHaveLength(384)
    for (const [index, value] of (numbers ?? []).entries()) expect(base64?.[index]).toBeCloseTo(value, 6)
  })

  it.each(['emb_err_overlong', 'err_bad_api_key', 'err_404_path'])('%s is no list of vectors', async (name) => {
    const body = await recordedBody(name)
    expect(() => readEmbeddings(body, 1)).toThrow('embedder.misbehaved')
  })
})

describe('any reply', () => {
  it('is either the wanted number of unit vectors or misbehaviour', () => {
    const embedding = fc.oneof(fc.array(fc.float()), fc.string(), fc.base64String(), fc.jsonValue())
    const item = fc.oneof(fc.record({ index: fc.nat(3), embedding }, { requiredKeys: [] }), fc.jsonValue())
    const body = fc.oneof(fc.record({ data: fc.array(item, { maxLength: 3 }) }), fc.jsonValue())
    fc.assert(
      fc.property(body, fc.integer({ min: 1, max: 3 }), (reply, count) => {
        try {
          const vectors = readEmbeddings(reply, count)
          expect(vectors).toHaveLength(count)
          for (const vector of vectors) expect(Math.hypot(...vector)).toBeCloseTo(1, 4)
        } catch (error) {
          expect(isAppError(error, 'embedder.misbehaved')).toBe(true)
        }
      }),
    )
  })
})

describe('Retry-After', () => {
  const nowMs = Date.parse('2026-01-01T00:00:00Z')
  it.each([
    [null, undefined],
    ['', undefined],
    ['soon', undefined],
    ['0', 0],
    ['2', 2_000],
    ['-5', 0],
    ['99999', 60_000],
    ['Thu, 01 Jan 2026 00:00:07 GMT', 7_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
  ])('%j is %j ms', (header, expected) => {
    expect(retryAfterMs(header, nowMs)).toBe(expected)
  })
})
