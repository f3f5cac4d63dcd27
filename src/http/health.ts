import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { refTo } from '../shared/schema.ts'
import { type App, probeAccess } from './route.ts'

export type PartState = { readonly ready: boolean; readonly detail: string }

/** Each part with how it tells its state. `isNeeded`: without it the service cannot answer at all. */
export type HealthPart = { readonly name: string; readonly isNeeded: boolean; check(): Promise<PartState> }

const checkTimeoutMs = 2_000

const stateOf = async (part: HealthPart): Promise<PartState> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<PartState>((resolve) => {
    timer = setTimeout(() => resolve({ ready: false, detail: 'does not answer' }), checkTimeoutMs)
  })
  const checked = part.check().catch(() => ({ ready: false, detail: 'fails' }))
  return Promise.race([checked, late]).finally(() => clearTimeout(timer))
}

type States = ReadonlyMap<string, PartState>

/** The states of all parts. Anybody may ask, as often as they like: those who ask at once share an answer. */
const createStates = (parts: readonly HealthPart[]): (() => Promise<States>) => {
  let asked: Promise<States> | null = null
  const ask = async (): Promise<States> =>
    new Map(await Promise.all(parts.map(async (part) => [part.name, await stateOf(part)] as const)))
  return () => {
    asked ??= ask().finally(() => {
      asked = null
    })
    return asked
  }
}

/** Figures tell of tenants, and reasons of the house: the public learns the state alone. */
const shownToAnybody = ({ ready }: PartState): PartState => ({ ready, detail: ready ? 'ready' : 'not ready' })

const readinessSchema = Type.Object(
  {
    status: Type.Union([Type.Literal('ready'), Type.Literal('degraded'), Type.Literal('unavailable')]),
    parts: Type.Record(Type.String(), Type.Object({ ready: Type.Boolean(), detail: Type.String() })),
  },
  { $id: 'Readiness' },
)

export type HealthRoutesOptions = {
  readonly parts: readonly HealthPart[]
  readonly isDraining: () => boolean
  readonly isOperator: (request: FastifyRequest) => Promise<boolean>
}

export const registerHealthRoutes = (app: App, { parts, isDraining, isOperator }: HealthRoutesOptions): void => {
  app.addSchema(readinessSchema)
  const readStates = createStates(parts)

  app.route({
    method: 'GET',
    url: '/health/live',
    config: { access: probeAccess },
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
    config: { access: probeAccess },
    logLevel: 'warn',
    schema: {
      operationId: 'getReadiness',
      summary: 'Can it serve? With the state of each part; in detail to the operator',
      tags: ['process'],
      security: [],
      response: { 200: refTo<object>('Readiness'), 503: refTo<object>('Readiness') },
    },
    handler: async (request, reply) => {
      const [states, isOperators] = await Promise.all([readStates(), isOperator(request)])
      const isDown = parts.some(({ isNeeded, name }) => isNeeded && states.get(name)?.ready !== true) || isDraining()
      const isWhole = [...states.values()].every(({ ready }) => ready)
      const status = isDown ? 'unavailable' : isWhole ? 'ready' : 'degraded'
      const shown = [...states].map(([name, state]) => [name, isOperators ? state : shownToAnybody(state)] as const)
      return reply.code(isDown ? 503 : 200).send({ status, parts: Object.fromEntries(shown) })
    },
  })
}
