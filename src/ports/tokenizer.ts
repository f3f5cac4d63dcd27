/** Counts tokens as the policy's model would. Every count in the service comes from the one tokenizer it is built with. */
import type { Steps } from '../shared/yielding.ts'

export type TokenCountSource = 'tokenizer' | 'estimate'

/** The part of a chat message that takes tokens. */
export type CountableMessage = {
  readonly role: string
  readonly content: string
  readonly name?: string | null
  readonly toolCalls?: unknown
}

/** Counting may take milliseconds a kilobyte: of what a tenant sends, `prepare` is called before. */
export type Tokenizer = {
  /** `estimate` when no vocabulary of the model is at hand; answers carry it as `token_count_source`. */
  readonly source: TokenCountSource
  readonly name: string
  /**
   * Does the work of counting these texts in small steps, so that counting them next takes next to no time. Changes no
   * count.
   */
  prepare(texts: readonly string[]): Steps<void>
  /** Tokens of a bare text, at least 0. Additive use is fine: a context's count is the sum of its messages' counts. */
  countText(text: string): number
  /** Tokens of a message including what its role and separators cost, at least 1. */
  countMessage(message: CountableMessage): number
  /** Drops what is kept of texts so as not to count them again. Changes no count. */
  forget(): void
}
