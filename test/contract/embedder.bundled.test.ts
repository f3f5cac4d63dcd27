import pino from 'pino'
import { expect, it } from 'vitest'
import { createBundledEmbedder } from '../../src/drivers/embedder/bundled-embedder.ts'

it('x', async () => {
  const e = createBundledEmbedder({ logger: pino() })
  const v = await e.embed(['hello there', '', 'x'], 'query')
  expect(v.map((x) => x.length)).toEqual([512, 512, 512])
  await e.close()
})
