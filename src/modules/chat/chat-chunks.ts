/**
 * A run's events as the chunks of OpenAI's stream: the role, the answer as it is written, calls of the client's functions
 * whole, why it ended, and the usage where it was asked for. What the model says before it calls a memory tool is shown
 * too, as a paragraph of its own: whether a text is the answer is known only when it has been written.
 */
import type { AppError } from '../../shared/errors.ts'
import type { RunEvent, RunResult } from '../policy/run-types.ts'
import { type ChatFrame, completionIdOf, createdOf, finishReasonOf, toExtension, toUsage } from './chat-body.ts'

export type ChunkFrame = ChatFrame & { readonly runId: string; readonly wantsUsage: boolean }

type Delta = Readonly<Record<string, unknown>>

export const createChunkWriter = (frame: ChunkFrame) => {
  let said = ''
  let saidInTurn = ''

  const head = {
    id: completionIdOf(frame.runId),
    object: 'chat.completion.chunk' as const,
    created: createdOf(frame.runId),
    model: frame.model,
  }
  const chunk = (delta: Delta, finishReason: string | null = null) => ({
    ...head,
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
    ...(frame.wantsUsage ? { usage: null } : {}),
  })

  const say = (text: string): readonly object[] => {
    if (saidInTurn === '' && text.trim() === '') return []
    const isNewParagraph = saidInTurn === '' && said !== ''
    saidInTurn += text
    said += text
    return [chunk({ content: isNewParagraph ? `\n\n${text}` : text })]
  }

  const end = (run: RunResult): readonly object[] => [
    // What was not written before our eyes: a stored answer, or text that became one at last.
    ...(run.answer !== null && saidInTurn === '' ? say(run.answer) : []),
    ...(run.clientCalls.length === 0
      ? []
      : [chunk({ tool_calls: run.clientCalls.map((call, index) => ({ index, ...call })) })]),
    { ...chunk({}, finishReasonOf(run)), agemem: toExtension(run, frame) },
    ...(frame.wantsUsage ? [{ ...head, choices: [], usage: toUsage(run) }] : []),
  ]

  return {
    begin: (): readonly object[] => [chunk({ role: 'assistant', content: '' })],
    of: (event: RunEvent): readonly object[] => {
      if (event.type === 'step.started') saidInTurn = ''
      if (event.type === 'token') return say(event.text)
      return event.type === 'done' && event.result !== null ? end(event.result) : []
    },
  }
}

/** The data of each server-sent event; null keeps an idle connection open. A failure ends the stream as clients read it. */
export async function* chunksOf(
  events: AsyncIterable<RunEvent | null>,
  frame: ChunkFrame,
  toError: (failure: AppError) => object,
): AsyncGenerator<string | null> {
  const writer = createChunkWriter(frame)
  const texts = (chunks: readonly object[]) => chunks.map((chunk) => JSON.stringify(chunk))
  yield* texts(writer.begin())
  for await (const event of events) {
    if (event === null) yield null
    else if (event.type === 'error') {
      yield JSON.stringify({ error: toError(event.failure) })
      return
    } else yield* texts(writer.of(event))
  }
  yield '[DONE]'
}
