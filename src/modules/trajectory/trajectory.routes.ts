import { type Static, Type } from 'typebox'
import type { Exports } from '../../http/exports.ts'
import { ndjson } from '../../http/media-types.ts'
import { type App, callerOf, tenantAccess } from '../../http/route.ts'
import {
  bodyProblems,
  pageComponent,
  pageQuery,
  pageRequestOf,
  problems,
  toPageBody,
  withHeaders,
} from '../../http/route-schemas.ts'
import { clientIdPattern } from '../../shared/ids.ts'
import { toUtc } from '../../shared/moment.ts'
import { refTo } from '../../shared/schema.ts'
import { sessionParams } from '../session/session.routes.ts'
import { doorSchema, type NewRewardBody, rewardKeyPattern, trajectoryComponents } from './trajectory.schemas.ts'
import type { TrajectoryService } from './trajectory.service.ts'
import { toRewardBody, toSummaryBody, toTrajectoryBody } from './trajectory-body.ts'
import type { TrajectoryFilter, TrajectoryParts } from './trajectory-types.ts'

const filterQuery = {
  agent_id: Type.Optional(Type.String({ pattern: clientIdPattern })),
  door: Type.Optional(doorSchema),
  has_reward: Type.Optional(Type.Boolean()),
  created_after: Type.Optional(Type.String({ format: 'date-time', description: 'Of the session.' })),
  created_before: Type.Optional(Type.String({ format: 'date-time' })),
}
const listQuery = Type.Object({ ...pageQuery, ...filterQuery }, { additionalProperties: false })
const exportQuery = Type.Object(
  {
    ...filterQuery,
    reward_key: Type.Optional(
      Type.String({
        pattern: rewardKeyPattern,
        description: 'Whose reward the records carry. Absent: `default`, else the only key there is, else none.',
      }),
    ),
  },
  { additionalProperties: false },
)
const includeSchema = Type.Union(
  [Type.Literal('all'), Type.Literal('messages'), Type.Literal('tokens'), Type.Literal('none')],
  { default: 'all', description: 'Which of the large parts of a step to give: `prompt`, or token ids and logprobs.' },
)
const trajectoryQuery = Type.Object(
  { ...pageQuery, include: Type.Optional(includeSchema) },
  { additionalProperties: false },
)

const momentOf = (moment: string | undefined, pointer: string): string | null =>
  moment === undefined ? null : toUtc(moment, pointer)

const filterOf = (query: Omit<Static<typeof exportQuery>, 'reward_key'>): TrajectoryFilter => ({
  agentId: query.agent_id ?? null,
  door: query.door ?? null,
  hasReward: query.has_reward ?? null,
  createdAfter: momentOf(query.created_after, '/created_after'),
  createdBefore: momentOf(query.created_before, '/created_before'),
})

const partsOf = (include: Static<typeof includeSchema> = 'all'): TrajectoryParts => ({
  messages: include === 'all' || include === 'messages',
  tokens: include === 'all' || include === 'tokens',
})

type Dependencies = { readonly trajectories: TrajectoryService; readonly exports: Exports }

const registerReads = (app: App, { trajectories, exports }: Dependencies): void => {
  app.route({
    method: 'GET',
    url: '/v1/sessions/:session_id/trajectory',
    config: { access: tenantAccess('trajectory:read') },
    schema: {
      operationId: 'getTrajectory',
      summary: "Get a session's steps with what each saw, said, called and changed",
      tags: ['trajectories'],
      params: sessionParams,
      querystring: trajectoryQuery,
      response: { 200: refTo<object>('Trajectory'), ...problems(404) },
    },
    handler: async (request) => {
      const parts = partsOf(request.query.include)
      const asked = { sessionId: request.params.session_id, parts }
      return toTrajectoryBody(await trajectories.get(callerOf(request), asked, pageRequestOf(request.query)), parts)
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/trajectories',
    config: { access: tenantAccess('trajectory:read') },
    schema: {
      operationId: 'listTrajectories',
      summary: 'List the trajectories: sessions that have steps',
      tags: ['trajectories'],
      querystring: listQuery,
      response: { 200: refTo<object>('TrajectorySummaryPage'), ...problems() },
    },
    handler: async ({ query, caller }) => {
      const page = await trajectories.list(callerOf({ caller }), filterOf(query), pageRequestOf(query))
      return toPageBody(page, toSummaryBody)
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/trajectories/export',
    config: { access: tenantAccess('trajectory:read') },
    schema: {
      operationId: 'exportTrajectories',
      summary: 'Export the step records of trajectories as NDJSON, streamed: one line for each call of the policy',
      tags: ['trajectories'],
      querystring: exportQuery,
      response: {
        200: {
          description: 'One step record (`agemem.step.v1`) a line; docs/trajectories.md names the fields.',
          content: { [ndjson]: { schema: { type: 'string' } } },
        },
        ...problems(),
      },
    },
    handler: async ({ query, caller }, reply) => {
      const request = { filter: filterOf(query), rewardKey: query.reward_key ?? null }
      const asking = callerOf({ caller })
      const pages = trajectories.exportSteps(asking, request)
      return exports.send(reply, { caller: asking, pages, toBody: (record) => record }) as unknown as string
    },
  })
}

export const registerTrajectoryRoutes = (app: App, dependencies: Dependencies): void => {
  for (const component of [...trajectoryComponents, pageComponent('TrajectorySummary')]) app.addSchema(component)
  registerReads(app, dependencies)

  app.route({
    method: 'POST',
    url: '/v1/sessions/:session_id/rewards',
    config: { access: tenantAccess('trajectory:write') },
    schema: {
      operationId: 'attachReward',
      summary: 'Attach a reward to a session, open or closed; the last one of a key counts',
      tags: ['trajectories'],
      params: sessionParams,
      body: refTo<NewRewardBody>('NewReward'),
      response: { 201: withHeaders('Reward', 'Attached.', 'Location'), ...bodyProblems(404, 409) },
    },
    handler: async (request, reply) => {
      const { key, value, parts = {} } = request.body
      const { session_id: sessionId } = request.params
      const reward = await dependencies.trajectories.attachReward(callerOf(request), { sessionId, key, value, parts })
      return reply.code(201).header('Location', `/v1/sessions/${sessionId}/trajectory`).send(toRewardBody(reward))
    },
  })
}
