/** Language models over the stand-in, opened by a test and closed after it. */
import pino from 'pino'
import { createVllmModel } from '../../src/drivers/language-model/vllm-model.ts'
import type { VllmModelOptions } from '../../src/drivers/language-model/vllm-parts.ts'
import type { LanguageModel } from '../../src/ports/language-model.ts'
import type { ChatServer } from './chat-server.ts'

const silent = pino({ level: 'silent' })

export const createVllmModels = () => {
  const opened: LanguageModel[] = []
  return {
    open: async (server: ChatServer, changes: Partial<VllmModelOptions> = {}): Promise<LanguageModel> => {
      const model = await createVllmModel({
        ...{ url: server.url, model: server.model, apiKey: null, saltSecret: 'a secret', logger: silent },
        ...{ timeoutMs: 10_000, concurrencyMax: 8, concurrencyPerTenantMax: 4, queueMax: 100, ...changes },
      })
      opened.push(model)
      return model
    },
    closeAll: async (): Promise<void> => {
      for (const model of opened.splice(0)) await model.close()
    },
  }
}
