/** The official OpenAI client against the app over a listening port, as people point it at the service. */
import OpenAI from 'openai'
import type { TestApp } from './app.ts'

export type ClientOptions = { readonly key?: string; readonly session?: string; readonly agent?: string }

export const createOpenAiClients = async (test: TestApp) => {
  const url = await test.app.listen({ host: '127.0.0.1', port: 0 })
  const { key } = await test.makeKey()
  return {
    url,
    key,
    /** Without retries: a test wants to see the first answer. */
    open: ({ key: own = key, session, agent }: ClientOptions = {}): OpenAI =>
      new OpenAI({
        apiKey: own,
        baseURL: `${url}/v1`,
        maxRetries: 0,
        defaultHeaders: {
          ...(session === undefined ? {} : { 'AgeMem-Session': session }),
          ...(agent === undefined ? {} : { 'AgeMem-Agent': agent }),
        },
      }),
  }
}

export type OpenAiClients = Awaited<ReturnType<typeof createOpenAiClients>>

type ChunkStream = AsyncIterable<OpenAI.ChatCompletionChunk>

/** All chunks, and the text that they make. */
export const readChunks = async (stream: ChunkStream) => {
  const chunks: OpenAI.ChatCompletionChunk[] = []
  for await (const chunk of stream) chunks.push(chunk)
  const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')
  return { chunks, text, finishReason: chunks.flatMap(({ choices }) => choices[0]?.finish_reason ?? []).at(-1) }
}
