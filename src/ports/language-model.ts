/**
 * A language model behind a chat endpoint: the policy. One request is one turn of one tenant; what it saw and said comes
 * back as token ids with log-probabilities where the server gives them, so that nothing is ever tokenised again.
 */
import type { ToolCallMessage } from '../shared/chat.ts'

/** Messages and tools as OpenAI's chat endpoint names them, sent as they are. */
export type ChatMessage = {
  readonly role: 'system' | 'user' | 'assistant' | 'tool'
  readonly content: string
  readonly name?: string
  readonly tool_calls?: readonly ToolCallMessage[]
  readonly tool_call_id?: string
}

export type ChatTool = {
  readonly type: 'function'
  readonly function: {
    readonly name: string
    readonly description?: string
    readonly parameters?: Readonly<Record<string, unknown>>
  }
}

export type Sampling = {
  /** 0..2 */
  readonly temperature: number
  readonly topP: number
  /** Tokens of the answer at most, at least 1; `clampedSampling` of the driver keeps prompt and answer within the window. */
  readonly tokensMax: number
  readonly seed: number | null
  readonly stop: readonly string[]
}

export type ChatRequest = {
  readonly tenantId: string
  readonly messages: readonly ChatMessage[]
  /** Offered as native functions; empty: none, so that the model writes text alone. */
  readonly tools: readonly ChatTool[]
  readonly sampling: Sampling
}

export type FinishReason = 'stop' | 'length' | 'tool_calls'

export type ChatUsage = {
  readonly promptTokens: number
  readonly completionTokens: number
  /** Prompt tokens that the server took from its prefix cache; null: it does not tell. */
  readonly cachedTokens: number | null
}

/** Its texts can be stored: NUL and halves of surrogate pairs are U+FFFD in them. The token ids are what was said. */
export type ChatReply = {
  /** The answer without reasoning; empty when the model only called functions. */
  readonly text: string
  /** What the server's reasoning parser took out of the answer; null: none. */
  readonly reasoning: string | null
  readonly toolCalls: readonly ToolCallMessage[]
  readonly finishReason: FinishReason
  /** The model that answered, as the server names it. */
  readonly model: string
  readonly usage: ChatUsage
  /** Null where the server does not give them. `tokenIds` and `logprobs` have equal length, or both are null. */
  readonly promptTokenIds: readonly number[] | null
  readonly tokenIds: readonly number[] | null
  readonly logprobs: readonly number[] | null
}

export type ChatEvent =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'reasoning'; readonly text: string }
  /** The last event, with all that was said. */
  | { readonly kind: 'reply'; readonly reply: ChatReply }

export type CallOptions = {
  readonly signal: AbortSignal
  /**
   * Told at the end of a call that brings no reply, if the server had begun with it: what it used, counted from what came
   * and else estimated. So hanging up does not make a call free.
   */
  readonly onUsage?: (usage: ChatUsage) => void
}

export type LanguageModel = {
  /** As the requests and the server name it. */
  readonly model: string
  /** Tokens of prompt and answer together, as the server last told; null: it has not been reached yet. */
  readonly windowTokens: number | null
  /**
   * @throws AppError `inference.unavailable` (503, retryable: not reached, broke off, breaker open, queue full),
   *   `inference.deadline` (503, retryable), `inference.prompt_too_long` (422), `inference.refused` (502: the server rejects
   *   the request, the key or the model), `inference.misbehaved` (502: an answer of a wrong shape or another model's)
   */
  complete(request: ChatRequest, options: CallOptions): Promise<ChatReply>
  /** The same turn as it is written. Ending the iteration early aborts the request at the server. @throws as `complete` */
  stream(request: ChatRequest, options: CallOptions): AsyncIterable<ChatEvent>
  /** Tokens that the messages and tools take in a prompt, by the server's own count. @throws as `complete` */
  countTokens(request: Omit<ChatRequest, 'sampling'>, options: CallOptions): Promise<number>
  checkHealth(options?: {
    readonly signal?: AbortSignal
  }): Promise<{ readonly ready: boolean; readonly detail: string }>
  close(): Promise<void>
}
