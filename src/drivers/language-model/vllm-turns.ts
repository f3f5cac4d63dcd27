/** The two ways to ask for a turn: whole, and as it is written. */
import type { CallOptions, ChatEvent, ChatRequest, LanguageModel } from '../../ports/language-model.ts'
import { isAppError } from '../../shared/errors.ts'
import { createRecorder, type Recorder } from './call-record.ts'
import { readReply } from './chat-reply.ts'
import { cacheSaltOf, chatBodyOf, clampedSampling, mayNotFit } from './chat-request.ts'
import { readChatStream } from './chat-stream.ts'
import { type ModelCall, openCall } from './model-call.ts'
import { createStallGuard } from './stall.ts'
import type { Parts, VllmModelOptions } from './vllm-parts.ts'
import { openStream } from './vllm-stream.ts'

type OpenCall = ModelCall & { readonly recorder: Recorder }

export const createTurns = (options: VllmModelOptions, parts: Parts) => {
  const { lifetime, client, exchange, served, counter, slots } = parts
  const { model, saltSecret, timeoutMs, stallMs = 60_000, logger, onCall = () => {} } = options

  const open = (signal: AbortSignal): OpenCall => {
    const recorder = createRecorder(onCall)
    try {
      const call = openCall({ lifetime, signal, timeoutMs })
      call.onEnd(() => recorder.failed(call.signal.reason))
      return { ...call, recorder }
    } catch (error) {
      recorder.failed(error)
      throw error
    }
  }

  /** Null where the server does not count: it decides then what fits. */
  const countIfNeeded = async (request: ChatRequest, windowTokens: number, signal: AbortSignal) => {
    const remembered = counter.find(request)
    if (remembered !== null || !mayNotFit(request, windowTokens)) return remembered
    return counter.count(request, signal).catch((error: unknown) => {
      if (isAppError(error, 'inference.refused')) return null
      throw error
    })
  }

  /** Takes a place, which is given back with `leave` or at the end of the call, and makes the body. */
  const prepare = async (request: ChatRequest, call: OpenCall) => {
    const leave = await slots.enter(request.tenantId, call.signal)
    call.onEnd(leave)
    const windowTokens = await served.ensureKnown(call.signal)
    const promptTokens = await countIfNeeded(request, windowTokens, call.signal)
    const sampling = clampedSampling(request.sampling, { promptTokens, windowTokens })
    const salt = cacheSaltOf(saltSecret, request.tenantId)
    return { leave, body: chatBodyOf({ ...request, sampling }, { model, salt }) }
  }

  const fail = (call: OpenCall, error: unknown): unknown => {
    const failure = call.failureOf(error)
    call.recorder.failed(failure)
    return failure
  }

  const complete: LanguageModel['complete'] = async (request, { signal: asked }) => {
    const call = open(asked)
    try {
      const { body } = await prepare(request, call)
      const send = (signal: AbortSignal) => client.openai.chat.completions.create(body, { signal })
      const reply = readReply(await exchange(send, call), { model, logger })
      call.recorder.answered(reply)
      return reply
    } catch (error) {
      throw fail(call, error)
    } finally {
      call.end()
    }
  }

  async function* stream(request: ChatRequest, { signal: asked }: CallOptions): AsyncGenerator<ChatEvent> {
    const call = open(asked)
    try {
      const { body, leave } = await prepare(request, call)
      const stall = createStallGuard(call, stallMs)
      const data = await exchange((signal) => openStream({ client, body, stall, signal }), call)
      for await (const event of readChatStream(data, { model, logger })) {
        if (event.kind === 'reply') {
          call.recorder.answered(event.reply)
          leave()
        }
        yield event
      }
    } catch (error) {
      throw fail(call, error)
    } finally {
      call.end()
    }
  }

  return { complete, stream }
}
