import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createFileTokenizer } from '../../../src/drivers/tokenizer/file-tokenizer.ts'
import { describeTokenizerContract } from '../../contract/tokenizer.suite.ts'

const path = fileURLToPath(new URL('../../fixtures/tokenizer/tokenizer.json', import.meta.url))

describeTokenizerContract('a tokenizer.json', () => createFileTokenizer({ path }))

describe('a tokenizer.json', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tokenizer-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('counts by its vocabulary: merged words are one token, others one per byte', async () => {
    const { countText } = await createFileTokenizer({ path })
    expect(countText('the memory and you')).toBe(5)
    expect(countText('zzz')).toBe(3)
    expect(countText('的')).toBe(3)
    expect(countText('<|end|>')).toBe(1)
  })

  it('a long text counts as its words do, though it is counted in pieces', async () => {
    const { countText } = await createFileTokenizer({ path })
    expect(countText(`the${' memory and the'.repeat(1_000)}`)).toBe(3_001)
  })

  it('a piece is never cut inside a surrogate pair', async () => {
    const { countText } = await createFileTokenizer({ path })
    expect(countText(`a${'🎉'.repeat(5_000)}`)).toBe(20_001)
  })

  it('is labelled as a count', async () => {
    expect((await createFileTokenizer({ path })).source).toBe('tokenizer')
  })

  it('a missing file, and one that holds no tokenizer, are refused by name', async () => {
    const missing = join(folder, 'missing.json')
    const notOne = join(folder, 'not-one.json')
    await writeFile(notOne, '{"model": {"type": "Nothing"}}')
    for (const bad of [missing, notOne]) {
      await expect(createFileTokenizer({ path: bad })).rejects.toMatchObject({
        code: 'tokenizer.unreadable',
        detail: expect.stringContaining(bad),
      })
    }
  })
})
