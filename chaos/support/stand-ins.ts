/** Stand-ins for partners, in the suite's own process, and the settings that point a service at them. */
import { startChatServer } from '../../test/support/chat-server.ts'
import { startEmbeddingServer } from '../../test/support/embedding-server.ts'
import type { Lab } from './lab.ts'

const forgetEveryMs = 5_000

/** They note every request that they get, for tests; in a long run that would be all the memory there is. */
const forgetRequests = (lab: Lab, requests: { length: number }): void => {
  const timer = setInterval(() => {
    requests.length = 0
  }, forgetEveryMs)
  timer.unref()
  lab.defer(() => clearInterval(timer))
}

/** A fast embedding server, for scenarios that are about something else. */
export const startEmbeddings = async (lab: Lab): Promise<Record<string, string>> => {
  const server = await startEmbeddingServer({ tokensMax: 100_000 })
  lab.defer(server.close)
  forgetRequests(lab, server.requests)
  return { AGEMEM_EMBEDDER_URL: server.url, AGEMEM_EMBEDDER_MODEL: server.model }
}

/** A model that answers at once; told of each prompt. */
export const startModel = async (
  lab: Lab,
  onPrompt: (prompt: string) => void = () => {},
): Promise<Record<string, string>> => {
  const server = await startChatServer()
  server.reply((body) => {
    onPrompt(JSON.stringify(body))
    return { text: '<think>Nothing to do.</think><answer>It is noted.</answer>' }
  })
  lab.defer(server.close)
  forgetRequests(lab, server.requests)
  return { AGEMEM_VLLM_URL: server.url, AGEMEM_VLLM_MODEL: server.model }
}
