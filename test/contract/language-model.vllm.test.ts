import pino from 'pino'
import { afterAll, beforeAll } from 'vitest'
import { createVllmModel } from '../../src/drivers/language-model/vllm-model.ts'
import { type ChatServer, startChatServer } from '../support/chat-server.ts'
import { describeLanguageModelContract } from './language-model.suite.ts'

const settings = {
  ...{ saltSecret: 'a secret', timeoutMs: 120_000, logger: pino({ level: 'silent' }) },
  ...{ concurrencyMax: 8, concurrencyPerTenantMax: 4, queueMax: 100 },
}
let server: ChatServer

beforeAll(async () => {
  server = await startChatServer({ apiKey: 'secret-key', windowTokens: 2_048 })
  server.reply(({ messages, tools = [] }) =>
    tools.length > 0 && messages.at(-1)?.content?.includes('Rome')
      ? { toolCalls: [{ name: 'get_weather', arguments: { city: 'Rome' } }] }
      : { text: 'The capital of France is Paris, as far as anyone knows.' },
  )
})
afterAll(() => server.close())

describeLanguageModelContract('the vLLM driver', {
  makeModel: () => createVllmModel({ ...settings, url: server.url, model: server.model, apiKey: 'secret-key' }),
  givesTokenIds: true,
})

/** VLLM_URL runs the same suite against a real server; VLLM_MODEL and VLLM_API_KEY say how to ask it. */
const { VLLM_URL: url, VLLM_MODEL: model = 'default', VLLM_API_KEY: apiKey = null } = process.env
if (url !== undefined)
  describeLanguageModelContract(`the server at ${url}`, {
    makeModel: () => createVllmModel({ ...settings, url, model, apiKey }),
    givesTokenIds: true,
  })
