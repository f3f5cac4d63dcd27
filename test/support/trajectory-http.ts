/** Sessions, calls, rewards and runs of one tenant over HTTP, for tests of trajectories. */
import { afterAll, beforeAll } from 'vitest'
import { type Answer, createTestApp, type TestApp } from './app.ts'
import { createHttp, type Http } from './http.ts'
import { createScriptedPolicy } from './scripted-policy.ts'

export type Body = Readonly<Record<string, unknown>>

export const addOutput = (content: string): string =>
  `<think>Keep it.</think><tool_call>[{"name":"Add_memory","arguments":{"content":"${content}"}}]</tool_call>`

export const linesOf = (payload: string): readonly Body[] =>
  payload
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Body)

export type TrajectoryHttp = Http & {
  readonly key: string
  readonly tenantId: string
  startSession(sessionId: string, agentId?: string): Promise<Answer>
  reward(sessionId: string, payload: object, headers?: Readonly<Record<string, string>>): Promise<Answer>
  /** One call by the tool's own operation. */
  call(sessionId: string, content: string): Promise<Answer>
  /** A run of the policy with a turn for each text. */
  run(sessionId: string, texts: readonly string[], hasTokens?: boolean): Promise<unknown>
  exported(query?: string): Promise<readonly Body[]>
}

const createTrajectoryHttp = async (
  test: TestApp,
  policy: ReturnType<typeof createScriptedPolicy>,
): Promise<TrajectoryHttp> => {
  const { key, tenantId } = await test.makeKey()
  const http = createHttp(test, key)
  const caller = { ...(await test.modules.makeCaller()), tenantId }
  return {
    ...http,
    key,
    tenantId,
    startSession: (sessionId, agentId = 'bot') =>
      http.post('/v1/sessions', {
        agent_id: agentId,
        session_id: sessionId,
        messages: [{ role: 'user', content: 'Hi there' }],
      }),
    reward: (sessionId, payload, headers) => http.post(`/v1/sessions/${sessionId}/rewards`, payload, headers),
    call: (sessionId, content) => http.post(`/v1/sessions/${sessionId}/tools/add_memory`, { content }),
    run: (sessionId, texts, hasTokens = true) =>
      policy.run(test.modules, caller, { sessionId, script: texts.map((text) => ({ text, hasTokens })) }),
    exported: async (query = '') => linesOf((await http.get(`/v1/trajectories/export${query}`)).payload),
  }
}

/** The same for the tests of a `describe`, with an app whose policy is scripted. */
export const useTrajectories = () => {
  const policy = createScriptedPolicy()
  let test: TestApp
  let own: TrajectoryHttp
  beforeAll(async () => {
    test = await createTestApp({ model: policy.model })
    own = await createTrajectoryHttp(test, policy)
  })
  afterAll(() => test.close())
  return { policy, app: () => test, http: () => own }
}
