/** Asks a service over HTTP. Never throws: no answer is an answer of its own, with status 0. */
import { Agent, type IncomingMessage, request } from 'node:http'

export type Asked = {
  readonly path: string
  readonly method?: string
  readonly key?: string | null
  /** An object goes as JSON, text and bytes as they are. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
}

// biome-ignore format: one line says it all
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }
export type Fields = { readonly [name: string]: Json | undefined }

export type Answer = {
  /** 0: none came. */
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
  readonly ms: number
  /** The body as a JSON object; an empty one when it is none. */
  readonly fields: Fields
}

export type Door = { ask(asked: Asked): Promise<Answer>; close(): void }

const timeoutMsUsual = 60_000
const answerBytesMax = 64 * 2 ** 20

export const fieldsOf = (text: string): Fields => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}
  } catch {
    return {}
  }
}

/** `a.b.0.c` of a body. */
export const at = (fields: Fields, path: string): Json | undefined => {
  let value: unknown = fields
  for (const step of path.split('.')) value = (value as Record<string, unknown> | null | undefined)?.[step]
  return value as Json | undefined
}

export const textAt = (fields: Fields, path: string): string => String(at(fields, path) ?? '')
export const listAt = (fields: Fields, path: string): readonly Fields[] => {
  const value = at(fields, path)
  return Array.isArray(value) ? (value as readonly Fields[]) : []
}

const encode = (body: unknown): Buffer | null => {
  if (body === undefined) return null
  if (Buffer.isBuffer(body)) return body
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}

const headersOf = ({ key, headers = {}, body }: Asked, bytes: Buffer | null) => ({
  ...(key === undefined || key === null ? {} : { authorization: `Bearer ${key}` }),
  ...(bytes === null ? {} : { 'content-length': String(bytes.length) }),
  ...(bytes === null || typeof body === 'string' || Buffer.isBuffer(body)
    ? {}
    : { 'content-type': 'application/json' }),
  ...headers,
})

/** The URL is asked for at each request, since a service that was started again may listen elsewhere. */
export const createDoor = (url: () => string, { connectionsMax = 64 }: { connectionsMax?: number } = {}): Door => {
  const agent = new Agent({ keepAlive: true, maxSockets: connectionsMax })
  const exchange = (
    asked: Asked,
    end: (status: number, text: string, headers?: IncomingMessage['headers']) => void,
  ) => {
    const bytes = encode(asked.body)
    const method = asked.method ?? (bytes === null ? 'GET' : 'POST')
    const sent = request(url() + asked.path, { method, agent, headers: headersOf(asked, bytes) }, (response) => {
      const pieces: Buffer[] = []
      let size = 0
      response.on('data', (piece: Buffer) => {
        size += piece.length
        if (size > answerBytesMax) sent.destroy(new Error('the answer does not end'))
        else pieces.push(piece)
      })
      response.on('error', (error) => end(0, String(error)))
      response.on('end', () => end(response.statusCode ?? 0, Buffer.concat(pieces).toString(), response.headers))
    })
    const timer = setTimeout(() => sent.destroy(new Error('no answer in time')), asked.timeoutMs ?? timeoutMsUsual)
    sent.on('close', () => clearTimeout(timer))
    sent.on('error', (error) => end(0, String(error)))
    sent.end(bytes ?? undefined)
  }
  const ask = (asked: Asked): Promise<Answer> =>
    new Promise((resolve) => {
      const startedMs = performance.now()
      const end = (status: number, text: string, headers: IncomingMessage['headers'] = {}) =>
        resolve({ status, headers, text, ms: performance.now() - startedMs, fields: fieldsOf(text) })
      try {
        exchange(asked, end)
      } catch (error) {
        // What HTTP cannot carry is not sent.
        end(0, String(error))
      }
    })
  return { ask, close: () => agent.destroy() }
}
