/** The service as its process composes it, from settings and with an embedder of the test's, but in this process. */
import pino from 'pino'
import { loadConfig } from '../../src/config.ts'
import type { Embedder } from '../../src/ports/embedder.ts'
import { createService } from '../../src/services.ts'

export type ServiceOptions = { readonly env: Record<string, string>; readonly embedder?: Embedder }

export const startTestService = async ({ env, embedder }: ServiceOptions) => {
  const given = embedder === undefined ? {} : { embedder }
  const service = await createService(loadConfig(env), pino({ level: 'silent' }), given)
  const url = await service.app.listen({ host: '127.0.0.1', port: 0 })
  service.start()
  return {
    url,
    key: service.first.tenantKey ?? '',
    modules: service.modules,
    close: service.close,
  }
}

export type TestService = Awaited<ReturnType<typeof startTestService>>
