/** Chats of the official client for the tests of a `describe`: each test has a session and an agent of its own. */
import type OpenAI from 'openai'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import type { TestAppOverrides } from './app.ts'
import { createHttp, type Http } from './http.ts'
import { createOpenAiClients, type OpenAiClients } from './openai-clients.ts'
import { createPolicyTest, type PolicyTest } from './policy.ts'

type StoredMessage = { readonly role: string; readonly content: string }

export const useChats = (name: string, overrides: TestAppOverrides = {}) => {
  let test: PolicyTest
  let clients: OpenAiClients
  let http: Http
  let client: OpenAI
  let count = 0
  const session = () => `${name}-${count}`
  const agent = () => `agent-${count}`

  beforeAll(async () => {
    test = await createPolicyTest(overrides)
    clients = await createOpenAiClients(test)
    http = createHttp(test, clients.key)
  })
  afterAll(() => test.close())
  beforeEach(() => {
    count += 1
    client = clients.open({ session: session(), agent: agent() })
  })

  return {
    app: () => test,
    server: () => test.server,
    clients: () => clients,
    /** With the headers of this test's session and agent. */
    client: () => client,
    http: () => http,
    session,
    agent,
    /** Of the session, by the list that shows everything. */
    stored: async (): Promise<readonly StoredMessage[]> =>
      (await http.get(`/v1/sessions/${session()}/messages`)).json().data,
  }
}
