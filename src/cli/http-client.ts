/** A small typed client of the public HTTP API for the project's own commands; http-request.ts says how it behaves. */
import type { AgentAnswer, BatchAnswer, RetrievalClient, SearchAnswer } from '../evaluation/retrieval-client.ts'
import { createRequester, type HttpClientOptions, HttpProblem } from './http-request.ts'
import type {
  AppendAnswer,
  ContextBody,
  MemoryBody,
  MessageBody,
  PageBody,
  SessionBody,
  StoredMessageBody,
  ToolAnswer,
  ToolName,
  ToolResults,
} from './wire-types.ts'

export type HttpClient = ReturnType<typeof createHttpClient>

/** Verbs are named by the contract's operationIds; bodies are in their wire names. */
export const createHttpClient = (options: HttpClientOptions) => {
  const request = createRequester(options)
  const agentPath = (agentId: string) => `/v1/agents/${encodeURIComponent(agentId)}`
  const sessionPath = (sessionId: string) => `/v1/sessions/${encodeURIComponent(sessionId)}`
  const post = async <T>(path: string, body: unknown): Promise<T> => (await request<T>('POST', path, { body })).body
  const get = async <T>(path: string): Promise<T> => (await request<T>('GET', path)).body

  const retrieval: RetrievalClient = {
    addMemories: async (agentId, memories, { signal }) => {
      const path = `${agentPath(agentId)}/memories/batch`
      return (await request<BatchAnswer>('POST', path, { body: { memories }, signal, timeoutMs: 120_000 })).body
    },
    getAgent: async (agentId, { signal }) => (await request<AgentAnswer>('GET', agentPath(agentId), { signal })).body,
    searchMemories: async (agentId, search, { signal }) => {
      const path = `${agentPath(agentId)}/memories/search`
      const { body, elapsedMs } = await request<SearchAnswer>('POST', path, { body: search, signal })
      return { ...body, elapsedMs }
    },
    eraseAgent: async (agentId, { signal }) => {
      await request('DELETE', agentPath(agentId), { signal }).catch((error: unknown) => {
        if (!(error instanceof HttpProblem && error.status === 404)) throw error
      })
    },
  }

  return {
    /** Any operation that has no verb here. */
    request,
    ...retrieval,
    getMemory: (agentId: string, memoryId: string) => get<MemoryBody>(`${agentPath(agentId)}/memories/${memoryId}`),
    createSession: (session: { agent_id: string; budget_tokens?: number; messages?: readonly MessageBody[] }) =>
      post<SessionBody>('/v1/sessions', session),
    appendMessages: (sessionId: string, messages: readonly MessageBody[]) =>
      post<AppendAnswer>(`${sessionPath(sessionId)}/messages`, { messages }),
    /** Up to 200 messages, in every state. */
    listMessages: (sessionId: string) =>
      get<PageBody<StoredMessageBody>>(`${sessionPath(sessionId)}/messages?limit=200`),
    getContext: (sessionId: string) =>
      get<ContextBody & { messages: readonly unknown[] }>(`${sessionPath(sessionId)}/context`),
    resetContext: (sessionId: string) => post<unknown>(`${sessionPath(sessionId)}/context/reset`, {}),
    callTool: <Name extends ToolName>(sessionId: string, tool: Name, args: Readonly<Record<string, unknown>>) =>
      post<ToolAnswer<ToolResults[Name]>>(`${sessionPath(sessionId)}/tools/${tool}`, args),
  }
}
