/** A model that says what the test wants and keeps what it was sent, and runs of the policy with it. */
import { systemPrompt, type WireFormat } from '../../src/modules/policy/policy-prompt.ts'
import type { RunResult } from '../../src/modules/policy/run-types.ts'
import type { ChatReply, ChatRequest, ChatTool, LanguageModel } from '../../src/ports/language-model.ts'
import type { Caller } from '../../src/shared/caller.ts'
import type { ToolCallMessage } from '../../src/shared/chat.ts'
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

/** Summaries are asked for with a prompt of their own. */
const isPolicys = ([system]: ChatRequest['messages']): boolean =>
  system?.content.startsWith(systemPrompt('native')) ?? false

const sampling = { temperature: 0.7, topP: 1, tokensMax: 256, seed: 3, stop: [] }

export const createScriptedPolicy = () => {
  const replies: ScriptedReply[] = []
  const sent: SentRequest[] = []
  const model: LanguageModel = {
    model: 'scripted-1',
    windowTokens: 1_000_000,
    complete: async ({ messages, tools }: ChatRequest) => {
      if (!isPolicys(messages)) return replyOf({ text: 'Guests ask for chairs.' }, 0)
      const next = replies.shift()
      if (next === undefined) throw new Error('The model was asked once more than the script says.')
      const reply = replyOf(next, sent.length + 1)
      sent.push({ messages: JSON.stringify(messages), tools: JSON.stringify(tools), reply })
      return reply
    },
    stream: () => {
      throw new Error('Nobody watches.')
    },
    countTokens: async () => 0,
    checkHealth: async () => ({ ready: true, detail: 'ok' }),
    close: async () => {},
  }

  return {
    model,
    /** Every turn's prompt, in order. */
    sent,
    /** One run, of as many turns at most as there are replies. */
    run: (
      { policy }: Pick<TestModules, 'policy'>,
      caller: Caller,
      request: {
        readonly sessionId: string
        readonly script: readonly ScriptedReply[]
        readonly format?: WireFormat
        readonly clientTools?: readonly ChatTool[]
      },
    ): Promise<RunResult> => {
      const { sessionId, script, format = 'text', clientTools = [] } = request
      replies.splice(0, replies.length, ...script)
      const bounds = { turnsMax: script.length, turnsNow: script.length, deadlineMs: 20_000 }
      return policy.run(caller, { sessionId, input: [], mode: 'answer', sampling, format, clientTools, ...bounds })
    },
  }
}
