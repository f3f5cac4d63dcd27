/**
 * Stands in for a vLLM chat server. It answers from a script, counts with tokens of its own, keeps a prefix cache for each
 * salt, streams a token at a time, and fails on demand.
 *
 *   server.reply({ text: 'Paris.' })                            the next call gets this; more replies queue up behind it
 *   server.reply(({ messages, tools }) => ({ text: '…' }))       all calls that find no queued reply get this; may be async
 *   server.fail('stall-middle', { times: 1 })
 */
import type { AddressInfo } from 'node:net'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { answerOf, chunksOf, completionOf, type ScriptedReply } from './chat-server-answer.ts'
import { type ChatFault, errorBody, faultAnswer } from './chat-server-faults.ts'
import { hangUp, sendEvents, sendWhole, wasAborted } from './chat-server-sending.ts'
import { createPrefixCache, createVocabulary, type Prompt, promptIdsOf } from './chat-server-tokens.ts'
import { sendEndless, sendTrickle } from './endless-answers.ts'

export type ChatBody = Prompt & {
  readonly model: string
  readonly stream?: boolean
  readonly max_tokens?: number
  readonly stop?: readonly string[]
  readonly cache_salt?: string
} & Readonly<Record<string, unknown>>

export type RecordedRequest = {
  readonly path: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: ChatBody
  /** The client closed the connection before the answer was whole. */
  isAborted: boolean
}

export type Script = (request: ChatBody) => ScriptedReply | Promise<ScriptedReply>

export type FailOptions = {
  readonly times?: number
  /** `all`: of every path; absent: of chat completions. */
  readonly path?: string
}

export type ChatServer = {
  readonly url: string
  readonly port: number
  readonly model: string
  readonly windowTokens: number
  /** In order of arrival. */
  readonly requests: RecordedRequest[]
  /** Those of chat completions. */
  turns(): readonly RecordedRequest[]
  reply(script: ScriptedReply | Script): void
  /** The next requests fail so; null ends it. */
  fail(fault: ChatFault | null, options?: FailOptions): void
  close(): Promise<void>
}

export type ChatServerOptions = {
  readonly apiKey?: string
  readonly port?: number
  readonly model?: string
  readonly windowTokens?: number
}

const chatPath = '/v1/chat/completions'

const createScript = () => {
  const queued: ScriptedReply[] = []
  let standing: Script = () => ({ text: 'Nothing was scripted for this.' })
  return {
    add: (script: ScriptedReply | Script): void => {
      if (typeof script === 'function') standing = script
      else queued.push(script)
    },
    answer: async (body: ChatBody): Promise<ScriptedReply> => queued.shift() ?? standing(body),
  }
}

const createFaults = () => {
  let current: { fault: ChatFault | null; times: number; path: string } = { fault: null, times: 0, path: chatPath }
  return {
    set: (fault: ChatFault | null, { times = Number.POSITIVE_INFINITY, path = chatPath }: FailOptions = {}): void => {
      current = { fault, times, path }
    },
    take: (path: string): ChatFault | null => {
      if (current.times < 1 || (current.path !== 'all' && current.path !== path)) return null
      current.times -= 1
      return current.fault
    },
  }
}

/** What vLLM refuses, as status and body; null when the request is fine. */
const refusalOf = (body: ChatBody, model: string) => {
  if (body.model !== model)
    return errorBody(404, `The model \`${body.model}\` does not exist. Valid aliases: ${model}.`, 'model')
  if (body.messages.length === 0) return errorBody(400, 'Cannot apply chat template to an empty conversation.')
  if (body.cache_salt === '')
    return errorBody(400, "Parameter 'cache_salt' must be a non-empty string if provided.", 'cache_salt')
  return null
}

const roomRefusalOf = (promptTokens: number, { max_tokens = 1 }: ChatBody, windowTokens: number) => {
  if (max_tokens > windowTokens) return errorBody(400, `max_tokens=${max_tokens} cannot be greater.`, 'max_tokens')
  if (promptTokens < windowTokens) return null
  return errorBody(400, `This model's maximum context length is ${windowTokens} tokens.`, 'input_tokens')
}

type Settings = { readonly model: string; readonly windowTokens: number; readonly apiKey: string | undefined }

const createState = (settings: Settings) => ({
  ...settings,
  ...{ script: createScript(), faults: createFaults(), vocabulary: createVocabulary(), cache: createPrefixCache() },
  requests: [] as RecordedRequest[],
  faultOf: new WeakMap<FastifyRequest, ChatFault | null>(),
})

type State = ReturnType<typeof createState>

const endlessOf = ({ stream }: ChatBody) =>
  stream === true
    ? { contentType: 'text/event-stream', piece: ': nothing to say\n\n' }
    : { head: '{"choices":[{"message":{"content":"', piece: 'and so on ' }

/** Notes each request, and sends what is sent in place of an answer. */
const receive = async (state: State, request: FastifyRequest, reply: FastifyReply) => {
  const { url: path, headers } = request
  const record = { path, headers, body: (request.body ?? {}) as ChatBody, isAborted: false }
  state.requests.push(record)
  reply.raw.once('close', () => {
    record.isAborted = wasAborted(reply.raw)
  })
  if (state.apiKey !== undefined && path.startsWith('/v1/') && headers.authorization !== `Bearer ${state.apiKey}`)
    return reply.code(401).send({ error: 'Unauthorized' })
  const fault = state.faults.take(path)
  state.faultOf.set(request, fault)
  if (fault === 'down') return hangUp(reply.hijack().raw)
  if (fault === 'endless') return sendEndless(reply.hijack().raw, endlessOf(record.body))
  if (fault === 'trickle') return sendTrickle(reply.hijack().raw)
  const answer = faultAnswer(fault)
  return answer === null ? undefined : reply.code(answer.status).headers(answer.headers).send(answer.body)
}

const answerTurn = async (state: State, request: FastifyRequest, reply: FastifyReply) => {
  const { model, vocabulary, windowTokens } = state
  const body = request.body as ChatBody
  const fault = state.faultOf.get(request) ?? null
  const promptIds = promptIdsOf(body, vocabulary)
  const refusal = refusalOf(body, model) ?? roomRefusalOf(promptIds.length, body, windowTokens)
  if (refusal !== null) return reply.code(refusal.error.code).send(refusal)
  const answer = answerOf(await state.script.answer(body), {
    ...{ model, vocabulary, promptIds, serial: state.requests.length, stop: body.stop ?? [] },
    cachedTokens: state.cache.cachedTokens(body.cache_salt ?? '', promptIds),
    tokensMax: Math.min(body.max_tokens ?? windowTokens, windowTokens - promptIds.length),
  })
  if (body.stream === true) await sendEvents(reply, chunksOf(answer), fault)
  else sendWhole(reply, completionOf(answer), fault)
  return reply
}

const buildApp = (state: State): FastifyInstance => {
  const { model, windowTokens, vocabulary } = state
  const app = fastify({ forceCloseConnections: true, bodyLimit: 64 * 1_024 * 1_024 })
  app.addHook('preHandler', (request, reply) => receive(state, request, reply))
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ detail: 'Not Found' }))
  app.get('/health', async (_request, reply) => reply.send())
  app.get('/v1/models', async () => ({
    object: 'list',
    data: [{ id: model, object: 'model', owned_by: 'vllm', parent: null, max_model_len: windowTokens }],
  }))
  app.post('/tokenize', async (request, reply) => {
    const body = request.body as ChatBody
    const refusal = refusalOf(body, model)
    if (refusal !== null) return reply.code(refusal.error.code).send(refusal)
    const tokens = promptIdsOf(body, vocabulary)
    return { count: tokens.length, max_model_len: windowTokens, tokens, token_strs: null }
  })
  app.post(chatPath, (request, reply) => answerTurn(state, request, reply))
  return app
}

export const startChatServer = async (options: ChatServerOptions = {}): Promise<ChatServer> => {
  const { model = 'stand-in', windowTokens = 8_192, apiKey } = options
  const state = createState({ model, windowTokens, apiKey })
  const app = buildApp(state)
  await app.listen({ host: '127.0.0.1', port: options.port ?? 0 })
  const { port } = app.server.address() as AddressInfo
  return {
    ...{ url: `http://127.0.0.1:${port}`, port, model, windowTokens, requests: state.requests },
    turns: () => state.requests.filter(({ path }) => path === chatPath),
    reply: state.script.add,
    fail: state.faults.set,
    close: () => app.close(),
  }
}
