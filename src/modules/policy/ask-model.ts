/** One generation: what the model says to a prompt, shown while it is written when somebody watches. */
import type { ChatReply, ChatRequest, LanguageModel } from '../../ports/language-model.ts'
import { brokenInvariant } from '../../shared/errors.ts'
import type { RunMode, WireFormat } from './policy-prompt.ts'
import type { EmitEvent } from './run-types.ts'
import { createStreamSplitter, type StreamPart } from './split-stream.ts'

export type Watch = { readonly emit: EmitEvent; readonly mode: RunMode; readonly format: WireFormat }

const streamed = async (
  model: LanguageModel,
  request: ChatRequest,
  { signal, watch: { emit, mode, format } }: { readonly signal: AbortSignal; readonly watch: Watch },
): Promise<ChatReply> => {
  const splitter = createStreamSplitter(format === 'native' ? 'token' : null)
  const show = async (parts: readonly StreamPart[]): Promise<void> => {
    for (const { kind, text } of parts) if (kind === 'thinking' || mode === 'answer') await emit({ type: kind, text })
  }
  for await (const event of model.stream(request, { signal })) {
    if (event.kind === 'text') await show(splitter.feed(event.text))
    else if (event.kind === 'reasoning') await emit({ type: 'thinking', text: event.text })
    else {
      await show(splitter.end())
      return event.reply
    }
  }
  throw brokenInvariant('A stream of the model ended without its reply.')
}

/** Null `watch`: nobody watches, so the reply comes in one piece. */
export const askModel = (
  model: LanguageModel,
  request: ChatRequest,
  { signal, watch }: { readonly signal: AbortSignal; readonly watch: Watch | null },
): Promise<ChatReply> =>
  watch === null ? model.complete(request, { signal }) : streamed(model, request, { signal, watch })
