/** A plain HTTP client with connections that stay open: its own cost is small and the same for a figure and its floor. */
import { Agent, request } from 'node:http'

export type Client = {
  /** @throws Error on any answer that is not 2xx */
  get<Body>(path: string): Promise<Body>
  /** @throws Error on any answer that is not 2xx */
  post<Body>(path: string, body: object): Promise<Body>
  /** The same service with another key, on the same connections. */
  withKey(key: string): Client
}

const timeoutMs = 60_000
const connectionsMax = 64

type Call = {
  readonly url: string
  readonly method: 'GET' | 'POST'
  readonly key: string
  readonly body: string | null
}

const exchange = (agent: Agent, { url, method, key, body }: Call): Promise<string> =>
  new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${key}`,
      ...(body === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
    }
    const sent = request(url, { method, agent, headers, timeout: timeoutMs }, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(pieces).toString()
        const status = response.statusCode ?? 0
        if (status >= 200 && status < 300) resolve(text)
        else reject(new Error(`${method} ${url}: ${status} ${text}`))
      })
    })
    sent.on('timeout', () => sent.destroy(new Error(`${method} ${url}: no answer`)))
    sent.on('error', reject)
    sent.end(body ?? undefined)
  })

const clientOver = (agent: Agent, url: string, key: string): Client => ({
  get: async <Body>(path: string) =>
    JSON.parse(await exchange(agent, { url: url + path, method: 'GET', key, body: null })) as Body,
  post: async <Body>(path: string, body: object) =>
    JSON.parse(await exchange(agent, { url: url + path, method: 'POST', key, body: JSON.stringify(body) })) as Body,
  withKey: (other) => clientOver(agent, url, other),
})

export const createClient = (url: string, key: string): Client =>
  clientOver(new Agent({ keepAlive: true, maxSockets: connectionsMax }), url, key)
