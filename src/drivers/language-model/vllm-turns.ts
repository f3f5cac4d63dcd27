/** The two ways to ask for a turn: whole, and as it is written. */
import type { CallOptions, ChatEvent, ChatRequest, LanguageModel } from '../../ports/language-model.ts'
import { isAppError } from '../../shared/errors.ts'
import { createRecorder, type Recorder } from './call-record.ts'
import { readReply } from './chat-reply.ts'
import { cacheSaltOf, chatBodyOf, clampedSampling, mayNotFit } from './chat-request.ts'
import { type OnChunk, readChatStream } from './chat-stream.ts'
import { type ModelCall, openCall } from './model-call.ts'
import { createStallGuard } from './stall.ts'
import { createUsedTokens, type UsedTokens } from './used-tokens.ts'
import { answerUpTo } from './vllm-client.ts'
import type { Parts, VllmModelOptions } from './vllm-parts.ts'
import { openStream } from './vllm-stream.ts'

type OpenCall = ModelCall & { readonly recorder: Recorder; readonly used: UsedTokens }

/** Of an answer's frame, of each of its tokens with id and log-probability, whole or as an event, and of an id of the prompt. */
const frameBytes = 1_048_576
const bytesPerToken = { whole: 512, streamed: 2_048 }
const bytesPerPromptToken = 12

export const createTurns = (options: VllmModelOptions, parts: Parts) => {
  const { lifetime, client, exchange, served, counter, slots } = parts
  const { model, saltSecret, timeoutMs, stallMs = 60_000, logger, onCall = () => {} } = options

  const open = (request: ChatRequest, { signal, onUsage = () => {} }: CallOptions): OpenCall => {
    const recorder = createRecorder(onCall)
    const used = createUsedTokens(request, onUsage)
    try {
      const call = openCall({ lifetime, signal, timeoutMs })
      call.onEnd(() => recorder.failed(call.signal.reason))
      call.onEnd(used.end)
      return { ...call, recorder, used }
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
  const prepare = async (request: ChatRequest, call: OpenCall, form: 'whole' | 'streamed') => {
    const leave = await slots.enter(request.tenantId, call.signal)
    call.onEnd(leave)
    const windowTokens = await served.ensureKnown(call.signal)
    const promptTokens = await countIfNeeded(request, windowTokens, call.signal)
    const sampling = clampedSampling(request.sampling, { promptTokens, windowTokens })
    const salt = cacheSaltOf(saltSecret, request.tenantId)
    const answerBytesMax = frameBytes + sampling.tokensMax * bytesPerToken[form] + windowTokens * bytesPerPromptToken
    call.used.sent(promptTokens, form)
    return { leave, body: chatBodyOf({ ...request, sampling }, { model, salt }), answerBytesMax }
  }

  /** A server that was not reached or refused the request used nothing; one that was left in the middle did. */
  const fail = (call: OpenCall, error: unknown, hasBegun: boolean): unknown => {
    const failure = call.failureOf(error)
    call.recorder.failed(failure)
    if (!hasBegun && !call.signal.aborted && !isAppError(failure, 'inference.misbehaved')) call.used.settled()
    return failure
  }

  const complete: LanguageModel['complete'] = async (request, options) => {
    const call = open(request, options)
    try {
      const { body, answerBytesMax } = await prepare(request, call, 'whole')
      const bound = answerUpTo(answerBytesMax)
      const send = (signal: AbortSignal) => client.openai.chat.completions.create(body, { signal, ...bound })
      const reply = readReply(await exchange(send, call), { model, logger })
      call.recorder.answered(reply)
      call.used.settled()
      return reply
    } catch (error) {
      throw fail(call, error, false)
    } finally {
      call.end()
    }
  }

  async function* stream(request: ChatRequest, options: CallOptions): AsyncGenerator<ChatEvent> {
    const call = open(request, options)
    let hasBegun = false
    const onChunk: OnChunk = (chunk) => {
      hasBegun = true
      call.used.heard(chunk)
    }
    try {
      const { leave, ...opening } = await prepare(request, call, 'streamed')
      const stall = createStallGuard(call, stallMs)
      const data = await exchange((signal) => openStream({ client, ...opening, stall, signal }), call)
      for await (const event of readChatStream(data, { model, logger }, onChunk)) {
        if (event.kind === 'reply') {
          call.recorder.answered(event.reply)
          call.used.settled()
          leave()
        }
        yield event
      }
    } catch (error) {
      throw fail(call, error, hasBegun)
    } finally {
      call.end()
    }
  }

  return { complete, stream }
}
