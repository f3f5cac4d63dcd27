/** The app with the vLLM driver in front of the scripted stand-in of its server. */
import pino from 'pino'
import { createVllmModel } from '../../src/drivers/language-model/vllm-model.ts'
import { createTestApp, type TestApp, type TestAppOverrides } from './app.ts'
import { type ChatServer, type ChatServerOptions, startChatServer } from './chat-server.ts'

export type PolicyTest = TestApp & { readonly server: ChatServer }

export const createPolicyTest = async ({
  server: serverOptions = {},
  timeoutMs = 10_000,
  ...overrides
}: TestAppOverrides & {
  readonly server?: ChatServerOptions
  readonly timeoutMs?: number
} = {}): Promise<PolicyTest> => {
  const server = await startChatServer({ windowTokens: 8_192, ...serverOptions })
  const model = await createVllmModel({
    url: server.url,
    model: server.model,
    apiKey: null,
    saltSecret: 'a secret',
    timeoutMs,
    concurrencyMax: 64,
    concurrencyPerTenantMax: 64,
    queueMax: 64,
    logger: pino({ level: 'silent' }),
  })
  const test = await createTestApp({ ...overrides, model })
  return {
    ...test,
    server,
    close: async () => {
      await test.close()
      await model.close()
      await server.close()
    },
  }
}

export const think = '<think>Let me see.</think>'

/** What a model writes that calls these tools. */
export const calling = (...calls: readonly { name: string; arguments: object }[]): { text: string } => ({
  text: `${think}\n<tool_call>${JSON.stringify(calls)}</tool_call>`,
})

export const answering = (answer: string): { text: string } => ({ text: `${think}\n<answer>${answer}</answer>` })
