/** What the commands that talk to a service share: a service to talk to, an end on Ctrl-C, and errors that read well. */
import { DataError } from '../evaluation/data-file.ts'
import { EvaluationError } from '../evaluation/retrieval-runner.ts'
import { ServiceStartError, startEmbeddedService } from './embedded-service.ts'
import { createHttpClient, type HttpClient } from './http-client.ts'
import { HttpProblem, HttpUnreachable } from './http-request.ts'

/** The command was called in a way it does not know. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export type ServiceOptions = { readonly url?: string | undefined; readonly key?: string | undefined }

/** `cleanupClient` still works after the command's signal aborted. */
export type Clients = {
  readonly client: HttpClient
  readonly cleanupClient: HttpClient
  readonly service: { readonly baseUrl: string; readonly key: string }
}

/** Hands `work` clients of the service at `url`, or of one that is started for it and stopped after it. */
export const withService = async <T>(
  { url, key }: ServiceOptions,
  { signal, announce }: { readonly signal: AbortSignal; readonly announce: (line: string) => void },
  work: (clients: Clients) => Promise<T>,
): Promise<T> => {
  if (url !== undefined && key === undefined) throw new UsageError('--url needs --key: the tenant key of that service.')
  if (url === undefined && key !== undefined) throw new UsageError('--key needs --url: the service that it belongs to.')
  const clientsOf = (service: { readonly baseUrl: string; readonly key: string }): Clients => ({
    client: createHttpClient({ ...service, signal }),
    cleanupClient: createHttpClient(service),
    service,
  })
  if (url !== undefined && key !== undefined) return work(clientsOf({ baseUrl: url, key }))
  announce('starting a service of its own, with everything embedded and temporary data')
  const service = await startEmbeddedService({ env: process.env, signal })
  try {
    return await work(clientsOf({ baseUrl: service.baseUrl, key: service.key }))
  } finally {
    await service.stop()
  }
}

const isExpected = (error: unknown): error is Error =>
  error instanceof UsageError ||
  error instanceof DataError ||
  error instanceof EvaluationError ||
  error instanceof HttpProblem ||
  error instanceof ServiceStartError ||
  error instanceof HttpUnreachable ||
  (error instanceof TypeError && String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS'))

const describe = (error: unknown): string => {
  if (isExpected(error)) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/**
 * Runs a command's body and sets the process's exit code: what the body resolves with, 1 when it throws, 2 for wrong
 * usage, 130 when Ctrl-C or a termination signal ended it. The first signal aborts, so that agents and services are
 * cleaned up; a second one ends the process at once.
 */
export const runCommand = async (body: (signal: AbortSignal) => Promise<number>): Promise<void> => {
  const controller = new AbortController()
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(130)
    process.stderr.write('\nstopping …\n')
    controller.abort()
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal)
  try {
    process.exitCode = await body(controller.signal)
  } catch (error) {
    if (!controller.signal.aborted) process.stderr.write(`${describe(error)}\n`)
    process.exitCode = error instanceof UsageError || error instanceof TypeError ? 2 : 1
  } finally {
    if (controller.signal.aborted) process.exitCode = 130
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.removeListener(name, onSignal)
  }
}
