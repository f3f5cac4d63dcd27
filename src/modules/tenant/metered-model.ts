/** The model with every generation counted for its tenant, whoever asked for it and however it ended. */
import type { CallOptions, ChatUsage, LanguageModel } from '../../ports/language-model.ts'
import type { ModelTokens } from './model-tokens.ts'

export const createMeteredModel = (model: LanguageModel, modelTokens: ModelTokens): LanguageModel => {
  /** Counts once, at the end of the call, what its reply tells or what was used without one. */
  const meter = (tenantId: string, options: CallOptions) => {
    let used: ChatUsage | null = null
    const note = (usage: ChatUsage): void => {
      used = usage
    }
    return {
      options: { ...options, onUsage: note },
      note,
      end: (): void => {
        if (used !== null) modelTokens.record(tenantId, used)
      },
    }
  }

  return {
    model: model.model,
    get windowTokens() {
      return model.windowTokens
    },
    complete: async (request, options) => {
      const metered = meter(request.tenantId, options)
      try {
        const reply = await model.complete(request, metered.options)
        metered.note(reply.usage)
        return reply
      } finally {
        metered.end()
      }
    },
    stream: async function* (request, options) {
      const metered = meter(request.tenantId, options)
      try {
        for await (const event of model.stream(request, metered.options)) {
          if (event.kind === 'reply') metered.note(event.reply.usage)
          yield event
        }
      } finally {
        metered.end()
      }
    },
    countTokens: (request, options) => model.countTokens(request, options),
    checkHealth: (options) => model.checkHealth(options),
    close: () => model.close(),
  }
}
