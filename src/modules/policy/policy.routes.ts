import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { logFailure } from '../../http/describe-error.ts'
import { type ServerSentEvent, sendEvents, wantsEvents } from '../../http/event-stream.ts'
import { type App, callerOf, tenantAccess } from '../../http/route.ts'
import { bodyProblems } from '../../http/route-schemas.ts'
import { refTo } from '../../shared/schema.ts'
import { sessionParams } from '../session/session.routes.ts'
import type { SessionService } from '../session/session.service.ts'
import { deadlinePassed, invalidEventId } from './policy.errors.ts'
import { type PolicyRunBody, policyComponents } from './policy.schemas.ts'
import type { PolicyService } from './policy.service.ts'
import {
  fromEventId,
  fromRunBody,
  type PolicyDefaults,
  toRunBody,
  toServerSentEvent,
  toStepBody,
} from './policy-body.ts'
import type { RunStreams, StartedStream } from './run-streams.ts'

export type PolicyRoutesDependencies = {
  readonly policy: PolicyService
  readonly sessions: Pick<SessionService, 'get'>
  readonly runStreams: RunStreams
  readonly policyDefaults: PolicyDefaults
}

const heartbeatMs = 15_000

const lastEventId = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({ maxLength: 128, description: 'With `Accept: text/event-stream`: go on after this event of a run.' }),
  ),
})

async function* eventsOf(
  { runId, feed }: StartedStream,
  { after, signal, log }: { after: number; signal: AbortSignal; log: FastifyRequest['log'] },
): AsyncGenerator<ServerSentEvent | null> {
  for await (const numbered of feed.read(after, { idleMs: heartbeatMs, signal })) {
    if (numbered?.event.type === 'error') logFailure(log, numbered.event.failure)
    yield numbered === null ? null : toServerSentEvent(runId, numbered)
  }
}

export const registerPolicyRoutes = (app: App, dependencies: PolicyRoutesDependencies): void => {
  const { policy, sessions, runStreams, policyDefaults: defaults } = dependencies
  for (const component of policyComponents) app.addSchema(component)

  app.route({
    method: 'POST',
    url: '/v1/sessions/:session_id/policy/step',
    config: { access: tenantAccess('policy:run') },
    schema: {
      operationId: 'runPolicyStep',
      summary: "Take one turn of the agent's policy",
      tags: ['policy'],
      params: sessionParams,
      body: refTo<Pick<PolicyRunBody, 'input' | 'sampling'>>('PolicyStepRequest'),
      response: { 200: refTo<object>('PolicyStep'), ...bodyProblems(404, 409, 502) },
    },
    handler: async (request) => {
      const sessionId = request.params.session_id
      const run = await policy.run(callerOf(request), fromRunBody(request.body, { sessionId, defaults, turnsNow: 1 }))
      const [step] = run.steps
      if (step === undefined) throw deadlinePassed()
      return { run_id: run.runId, ...toStepBody(step) }
    },
  })

  /** Goes on with a run that the client has seen a part of, or starts one; what refuses it at once is no event. */
  const openStream = async (request: FastifyRequest, body: PolicyRunBody, sessionId: string) => {
    const caller = callerOf(request)
    const { 'last-event-id': lastId } = request.headers
    if (typeof lastId === 'string') {
      const seen = fromEventId(lastId)
      if (seen === null) throw invalidEventId()
      await sessions.get(caller, sessionId)
      return { stream: runStreams.find(caller, { sessionId, runId: seen.runId }), after: seen.number }
    }
    const run = fromRunBody(body, { sessionId, defaults, turnsNow: null })
    return { stream: await runStreams.start(caller, run), after: 0 }
  }

  app.route({
    method: 'POST',
    url: '/v1/sessions/:session_id/policy/run',
    config: { access: tenantAccess('policy:run'), asksForEvents: wantsEvents },
    schema: {
      operationId: 'runPolicy',
      summary: "Run the agent's policy until it answers",
      tags: ['policy'],
      params: sessionParams,
      headers: lastEventId,
      body: refTo<PolicyRunBody>('PolicyRunRequest'),
      response: {
        200: {
          description: 'The run; or, with `Accept: text/event-stream`, what happens in it as it happens.',
          content: {
            'application/json': { schema: { $ref: 'PolicyRun' } },
            'text/event-stream': { schema: { type: 'string' } },
          },
        },
        ...bodyProblems(404, 409, 502),
      },
    },
    handler: async (request, reply) => {
      const sessionId = request.params.session_id
      const body = request.body as PolicyRunBody
      if (wantsEvents(request)) {
        const { stream, after } = await openStream(request, body, sessionId)
        return sendEvents(
          reply as unknown as FastifyReply,
          eventsOf(stream, { after, signal: callerOf(request).signal, log: request.log }),
        ) as never
      }
      const run = await policy.run(callerOf(request), fromRunBody(body, { sessionId, defaults, turnsNow: null }))
      return toRunBody(run) as never
    },
  })
}
