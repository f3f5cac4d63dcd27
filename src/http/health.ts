import { Type } from 'typebox'
import { refTo } from '../shared/schema.ts'
import { type App, publicAccess } from './route.ts'

export type PartState = { readonly ready: boolean; readonly detail: string }

/** Each part with how it tells its state. `isNeeded`: without it the service cannot answer at all. */
export type HealthPart = { readonly name: string; readonly isNeeded: boolean; check(): Promise<PartState> }

const checkTimeoutMs = 2_000

const stateOf = async (part: HealthPart): Promise<PartState> => {
  const late = new Promise<PartState>((resolve) => {
    setTimeout(() => resolve({ ready: false, detail: 'does not answer' }), checkTimeoutMs).unref()
  })
  return Promise.race([part.check().catch(() => ({ ready: false, detail: 'fails' })), late])
}

const readinessSchema = Type.Object(
  {
    status: Type.Union([Type.Literal('ready'), Type.Literal('degraded'), Type.Literal('unavailable')]),
    parts: Type.Record(Type.String(), Type.Object({ ready: Type.Boolean(), detail: Type.String() })),
  },
  { $id: 'Readiness' },
)

export const registerHealthRoutes = (
  app: App,
  { parts, isDraining }: { parts: readonly HealthPart[]; isDraining: () => boolean },
): void => {
  app.addSchema(readinessSchema)

  app.route({
    method: 'GET',
    url: '/health/live',
    config: { access: publicAccess },
    logLevel: 'warn',
    schema: {
      operationId: 'getLiveness',
      summary: 'Is the process alive?',
      tags: ['process'],
      security: [],
      response: { 200: Type.Object({ status: Type.Literal('alive') }) },
    },
    handler: async () => ({ status: 'alive' as const }),
  })

  app.route({
    method: 'GET',
    url: '/health/ready',
    config: { access: publicAccess },
    logLevel: 'warn',
    schema: {
      operationId: 'getReadiness',
      summary: 'Can it serve? With the state of each part',
      tags: ['process'],
      security: [],
      response: { 200: refTo<object>('Readiness'), 503: refTo<object>('Readiness') },
    },
    handler: async (_request, reply) => {
      const states = await Promise.all(parts.map(async (part) => [part.name, await stateOf(part)] as const))
      const isDown = parts.some(({ isNeeded }, at) => isNeeded && states[at]?.[1].ready !== true) || isDraining()
      const isWhole = states.every(([, { ready }]) => ready)
      const status = isDown ? 'unavailable' : isWhole ? 'ready' : 'degraded'
      return reply.code(isDown ? 503 : 200).send({ status, parts: Object.fromEntries(states) })
    },
  })
}
