/**
 * The OpenAI client, held to what this driver wants. On its own it reads a handful of environment variables (keys,
 * headers and addresses of OpenAI's), retries, prints, follows redirects with the key, and sends headers about the
 * machine. Here the headers are the driver's alone.
 */
import OpenAI from 'openai'
import { boundResponse } from '../calls/bounded-body.ts'
import { inferenceMisconfigured } from './inference-errors.ts'

export type VllmServer = {
  /** Base address of the server, with or without `/v1`. */
  readonly url: string
  readonly apiKey: string | null
  /** Deadline of one call. */
  readonly timeoutMs: number
}

export type VllmClient = {
  readonly openai: OpenAI
  /** Of an endpoint that stands beside `/v1`, such as `/tokenize`. */
  endpoint(path: string): string
}

/** Lists of models, health; what is larger says so with `answerUpTo`. */
const smallAnswerBytesMax = 4 * 1_024 * 1_024

type BoundInit = RequestInit & { readonly answerBytesMax?: number }

/** Of a request whose answer may be longer than a few megabytes, or is known to be shorter. */
export const answerUpTo = (answerBytesMax: number): { readonly fetchOptions: { readonly redirect: 'manual' } } => {
  const fetchOptions = { redirect: 'manual', answerBytesMax } as const
  return { fetchOptions }
}

const boundedFetch = async (input: Parameters<typeof fetch>[0], init: BoundInit): Promise<Response> => {
  const { answerBytesMax = smallAnswerBytesMax, ...request } = init
  return boundResponse(await fetch(input, request), answerBytesMax)
}

/** Without `/v1`. Neither address nor key is repeated in the error: both may hold a secret. */
const rootOf = (url: string): string => {
  if (!URL.canParse(url) || !/^https?:/i.test(url))
    throw inferenceMisconfigured('The url of the model server is no http address.')
  const base = new URL(url)
  if (base.username !== '' || base.password !== '')
    throw inferenceMisconfigured('The url of the model server holds a password. Configure it as the key instead.')
  return base.origin + base.pathname.replace(/\/+$/, '').replace(/\/v1$/, '')
}

const headersOf = (apiKey: string | null): Readonly<Record<string, string>> => {
  if (apiKey && !/^[\x21-\x7e]+$/.test(apiKey))
    throw inferenceMisconfigured('The key of the model server holds characters that no header can.')
  const authorization: Record<string, string> = apiKey ? { authorization: `Bearer ${apiKey}` } : {}
  return { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...authorization }
}

/** @throws AppError `inference.misconfigured` when url or key cannot be used */
export const createVllmClient = ({ url, apiKey, timeoutMs }: VllmServer): VllmClient => {
  const root = rootOf(url)
  const headers = headersOf(apiKey)
  const openai = new OpenAI({
    baseURL: `${root}/v1`,
    apiKey: 'sent by the headers below',
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    maxRetries: 0,
    timeout: timeoutMs,
    logLevel: 'off',
    fetch: (input, init) => boundedFetch(input, { ...init, headers, redirect: 'manual' }),
  })
  return { openai, endpoint: (path) => `${root}${path}` }
}
