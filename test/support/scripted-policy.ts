/** The policy with a model that says what the test wants and keeps what it was sent. */
import { createEstimatingTokenizer } from '../../src/drivers/tokenizer/estimating-tokenizer.ts'
import { createIdempotency } from '../../src/modules/idempotency/idempotency.service.ts'
import { createPolicyService } from '../../src/modules/policy/policy.service.ts'
import type { WireFormat } from '../../src/modules/policy/policy-prompt.ts'
import type { RunResult } from '../../src/modules/policy/run-types.ts'
import { createModelTokens } from '../../src/modules/tenant/model-tokens.ts'
import type { ChatReply, ChatRequest, ChatTool, LanguageModel } from '../../src/ports/language-model.ts'
import type { Caller } from '../../src/shared/caller.ts'
import type { ToolCallMessage } from '../../src/shared/chat.ts'
import { createId } from '../../src/shared/ids.ts'
import type { TestModules } from './modules.ts'

export type ScriptedReply = {
  readonly text?: string
  readonly toolCalls?: readonly ToolCallMessage[]
  /** Does the server give tokens? */
  readonly hasTokens?: boolean
}

export type SentRequest = {
  /** As JSON, so that nothing can change it afterwards. */
  readonly messages: string
  readonly tools: string
  readonly reply: ChatReply
}

const replyOf = ({ text = '', toolCalls = [], hasTokens = true }: ScriptedReply, turn: number): ChatReply => ({
  text,
  reasoning: null,
  toolCalls,
  finishReason: toolCalls.length > 0 ? 'tool_calls' : 'stop',
  model: 'scripted-1',
  usage: { promptTokens: 40 + turn, completionTokens: 3, cachedTokens: null },
  promptTokenIds: hasTokens ? Array.from({ length: 40 + turn }, (_, at) => at) : null,
  tokenIds: hasTokens ? [turn, 7, 2] : null,
  logprobs: hasTokens ? [-0.1, -1 / 3, -1e-7 * turn] : null,
})

const sampling = { temperature: 0.7, topP: 1, tokensMax: 256, seed: 3, stop: [] }

export const createScriptedPolicy = (modules: TestModules) => {
  const { database, contexts, tools, clock } = modules
  const replies: ScriptedReply[] = []
  const sent: SentRequest[] = []
  const model: LanguageModel = {
    model: 'scripted-1',
    windowTokens: 1_000_000,
    complete: async ({ messages, tools: offered }: ChatRequest) => {
      const next = replies.shift()
      if (next === undefined) throw new Error('The model was asked once more than the script says.')
      const reply = replyOf(next, sent.length + 1)
      sent.push({ messages: JSON.stringify(messages), tools: JSON.stringify(offered), reply })
      return reply
    },
    stream: () => {
      throw new Error('Nobody watches.')
    },
    countTokens: async () => 0,
    checkHealth: async () => ({ ready: true, detail: 'ok' }),
    close: async () => {},
  }
  const policy = createPolicyService({
    database,
    idempotency: createIdempotency({ database, ttlSeconds: 60 }),
    contexts,
    tools,
    tokenizer: createEstimatingTokenizer(),
    model,
    modelTokens: createModelTokens({ database, clock }),
    createId,
  })

  return {
    /** Everything the model was sent, in order. */
    sent,
    /** One run that takes one turn for each reply. */
    run: (
      caller: Caller,
      {
        sessionId,
        script,
        format = 'text',
        clientTools = [],
      }: {
        sessionId: string
        script: readonly ScriptedReply[]
        format?: WireFormat
        clientTools?: readonly ChatTool[]
      },
    ): Promise<RunResult> => {
      replies.splice(0, replies.length, ...script)
      const turnsMax = script.length
      const request = { sessionId, input: [], mode: 'answer' as const, turnsMax, deadlineMs: 20_000, sampling, format }
      return policy.run(caller, { ...request, clientTools })
    },
  }
}
