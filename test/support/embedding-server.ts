/**
 * Stands in for an OpenAI-compatible embedding server: answers as vLLM does (test/fixtures/vllm holds recorded replies)
 * with hashed bags of words for vectors, and fails on demand in the ways that servers and networks do.
 */
import { createHash } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import { sendEndless, sendTrickle } from './endless-answers.ts'

export type EmbeddingFault =
  | 'down'
  | 'hang'
  | 'wrong-dimension'
  | 'zero'
  | 'not-a-number'
  | 'fewer'
  | 'floats'
  | 'reversed'
  | 'hang-up'
  | 'not-json'
  | 'redirect'
  | 'endless'
  | 'endless-gzip'
  | 'endless-error'
  | 'trickle'
  | { readonly status: number; readonly retryAfter?: string }

type EmbeddingBody = Readonly<Record<string, unknown>> & { readonly input: readonly string[] }

export type EmbeddingRequest = { readonly body: EmbeddingBody; readonly authorization: string | undefined }

export type EmbeddingServer = {
  readonly url: string
  readonly model: string
  readonly dimensions: number
  /** Every request for embeddings, in order of arrival. */
  readonly requests: EmbeddingRequest[]
  /** The next `times` requests fail so; null ends it. */
  fail(fault: EmbeddingFault | null, times?: number): void
  /** Texts with this word are answered 400. */
  readonly poison: string
  /** Texts with this word are never answered. */
  readonly mire: string
  /** Of answers without end, before any packing. */
  sentBytes(): number
  close(): Promise<void>
}

export type EmbeddingServerOptions = {
  readonly apiKey?: string
  readonly port?: number
  readonly tokensMax?: number
  readonly textsMax?: number
}

const model = 'stand-in'
const dimensions = 64
const poison = 'poisonous'
const mire = 'quagmire'

const vectorOf = (text: string): Float32Array => {
  const vector = new Float32Array(dimensions)
  vector[0] = 0.1
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) {
    const slot = createHash('sha256').update(word).digest().readUInt32BE(0) % dimensions
    vector[slot] = (vector[slot] ?? 0) + 1
  }
  return vector
}

const errorBody = (code: number, message: string, param: string | null = null) => ({
  error: { message, type: code === 404 ? 'NotFoundError' : 'BadRequestError', param, code },
})

/** What validation of the body says has another type than what the model says. */
const invalidBody = (message: string) => ({ error: { message, type: 'Bad Request', param: null, code: 400 } })

const tokensOf = (text: string): number => text.split(/\s+/).length + 2

/** What is wrong with the request, as status and body; undefined when it is fine. */
const refusalOf = (
  body: Readonly<Record<string, unknown>>,
  inputs: readonly string[],
  limits: EmbeddingServerOptions,
) => {
  const { tokensMax = 256, textsMax = Number.POSITIVE_INFINITY } = limits
  if (body.model !== model) return errorBody(404, `The model \`${body.model}\` does not exist.`, 'model')
  if (inputs.length === 0) return errorBody(400, 'You must pass at least one prompt')
  if (inputs.length > textsMax) return errorBody(400, 'too many texts')
  if (body.dimensions !== undefined)
    return errorBody(400, `Model '${model}' does not support Matryoshka embeddings; dimensions must be unset.`)
  if (!['float', 'base64', undefined].includes(body.encoding_format as string | undefined))
    return invalidBody("1 validation error: Input should be 'float' or 'base64'")
  const longest = Math.max(...inputs.map(tokensOf))
  if (longest > tokensMax)
    return errorBody(400, `This model's maximum context length is ${tokensMax} tokens.`, 'input_tokens')
  return inputs.some((text) => text.includes(poison)) ? errorBody(400, 'This text cannot be embedded.') : undefined
}

const faultyVector = (fault: EmbeddingFault | null, vector: Float32Array): Float32Array => {
  if (fault === 'wrong-dimension') return vector.slice(1)
  if (fault === 'zero') return new Float32Array(dimensions)
  return fault === 'not-a-number' ? vector.fill(Number.NaN, 3, 4) : vector
}

const answerOf = (body: Readonly<Record<string, unknown>>, inputs: readonly string[], fault: EmbeddingFault | null) => {
  const isBase64 = body.encoding_format === 'base64' && fault !== 'floats'
  const data = inputs.map((text, index) => {
    const vector = faultyVector(fault, vectorOf(text))
    const embedding = isBase64 ? Buffer.from(vector.buffer).toString('base64') : [...vector]
    return { index, object: 'embedding', embedding }
  })
  const tokens = inputs.reduce((sum, text) => sum + tokensOf(text), 0)
  return {
    id: 'embd-0123456789abcdef',
    object: 'list',
    created: 1_795_344_781,
    model,
    data: fault === 'reversed' ? data.reverse() : fault === 'fewer' ? data.slice(1) : data,
    usage: { prompt_tokens: tokens, total_tokens: tokens, completion_tokens: 0, prompt_tokens_details: null },
  }
}

const endlessOf = (fault: EmbeddingFault | null) => {
  const form = { head: '{"object":"list","data":[{"index":0,"embedding":[', piece: '0.0123456789,' }
  if (fault === 'endless') return form
  if (fault === 'endless-gzip') return { ...form, isPacked: true }
  return fault === 'endless-error' ? { ...form, status: 500 } : null
}

/** Sends what the fault sends in place of an answer. False when the fault is one within the answer. */
const sendFault = (fault: EmbeddingFault | null, reply: FastifyReply): boolean => {
  if (fault === 'hang') reply.hijack()
  else if (fault === 'hang-up') reply.hijack().raw.destroy()
  else if (fault === 'trickle') sendTrickle(reply.hijack().raw)
  else if (fault === 'down') reply.code(503).send({ error: 'Service Unavailable' })
  else if (fault === 'not-json') reply.type('text/html').send('<html>Welcome</html>')
  else if (fault === 'redirect') reply.code(307).header('location', 'http://127.0.0.1:9/v1/embeddings').send()
  else if (typeof fault === 'object' && fault !== null) {
    if (fault.retryAfter !== undefined) reply.header('retry-after', fault.retryAfter)
    reply.code(fault.status).send(errorBody(fault.status, 'as the test asked'))
  } else return false
  return true
}

const inputsOf = (input: unknown): readonly string[] => (typeof input === 'string' ? [input] : (input as string[]))

export const startEmbeddingServer = async (options: EmbeddingServerOptions = {}): Promise<EmbeddingServer> => {
  const requests: EmbeddingRequest[] = []
  const app: FastifyInstance = fastify({ forceCloseConnections: true, bodyLimit: 64 * 1_024 * 1_024 })
  let current: { fault: EmbeddingFault | null; times: number } = { fault: null, times: 0 }
  let sentBytes = 0

  app.addHook('onRequest', async (request, reply) => {
    const expected = options.apiKey === undefined ? undefined : `Bearer ${options.apiKey}`
    if (expected !== undefined && request.headers.authorization !== expected)
      await reply.code(401).send({ error: 'Unauthorized' })
  })
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ detail: 'Not Found' }))
  app.post('/v1/embeddings', (request, reply) => {
    const body = request.body as Readonly<Record<string, unknown>>
    const input = inputsOf(body.input)
    requests.push({ body: { ...body, input }, authorization: request.headers.authorization })
    const fault = current.times > 0 ? current.fault : null
    current.times -= 1
    const endless = endlessOf(fault)
    if (endless !== null)
      return sendEndless(reply.hijack().raw, endless, (bytes) => {
        sentBytes += bytes
      })
    if (input.some((text) => text.includes(mire))) {
      reply.hijack()
      return
    }
    if (sendFault(fault, reply)) return
    const refusal = refusalOf(body, input, options)
    if (refusal !== undefined) reply.code(refusal.error.code).send(refusal)
    else reply.send(answerOf(body, input, fault))
  })
  await app.listen({ host: '127.0.0.1', port: options.port ?? 0 })
  const { port } = app.server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    model,
    dimensions,
    requests,
    poison,
    mire,
    sentBytes: () => sentBytes,
    fail: (fault, times = Number.POSITIVE_INFINITY) => {
      current = { fault, times }
    },
    close: () => app.close(),
  }
}
