/** The model with every generation counted for its tenant, whoever asked for it. */
import type { ChatReply, LanguageModel } from '../../ports/language-model.ts'
import type { ModelTokens } from './model-tokens.ts'

export const createMeteredModel = (model: LanguageModel, modelTokens: ModelTokens): LanguageModel => {
  const record = (tenantId: string, { usage }: ChatReply): void => modelTokens.record(tenantId, usage)

  return {
    model: model.model,
    get windowTokens() {
      return model.windowTokens
    },
    complete: async (request, options) => {
      const reply = await model.complete(request, options)
      record(request.tenantId, reply)
      return reply
    },
    stream: async function* (request, options) {
      for await (const event of model.stream(request, options)) {
        if (event.kind === 'reply') record(request.tenantId, event.reply)
        yield event
      }
    },
    countTokens: (request, options) => model.countTokens(request, options),
    checkHealth: (options) => model.checkHealth(options),
    close: () => model.close(),
  }
}
