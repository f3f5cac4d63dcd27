import pino from 'pino'
import { afterAll, beforeAll } from 'vitest'
import { withEmbeddingCache } from '../../src/drivers/embedder/embedding-cache.ts'
import { createOpenAiEmbedder } from '../../src/drivers/embedder/openai-embedder.ts'
import { type EmbeddingServer, startEmbeddingServer } from '../support/embedding-server.ts'
import { describeEmbedderContract } from './embedder.suite.ts'

const logger = pino({ level: 'silent' })
let server: EmbeddingServer

beforeAll(async () => {
  server = await startEmbeddingServer({ apiKey: 'secret-key' })
})
afterAll(() => server.close())

const open = () => createOpenAiEmbedder({ url: server.url, model: server.model, apiKey: 'secret-key', logger })

describeEmbedderContract('the OpenAI-compatible embedder', open)
describeEmbedderContract('a cached embedder', async () => withEmbeddingCache(await open(), { maxBytes: 1_000_000 }))

/** EMBEDDER_URL runs the same suite against a real server; EMBEDDER_MODEL and EMBEDDER_INPUT_TYPE say how to ask it. */
const { EMBEDDER_URL: url, EMBEDDER_MODEL: model = 'default', EMBEDDER_INPUT_TYPE } = process.env
if (url !== undefined) {
  const inputType = EMBEDDER_INPUT_TYPE === 'query-passage' ? EMBEDDER_INPUT_TYPE : 'none'
  describeEmbedderContract(`the server at ${url}`, () => createOpenAiEmbedder({ url, model, inputType, logger }))
}
