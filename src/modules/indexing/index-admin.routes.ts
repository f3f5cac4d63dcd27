import { Type } from 'typebox'
import { type App, operatorAccess } from '../../http/route.ts'
import { bodyProblems, problems } from '../../http/route-schemas.ts'
import { refTo } from '../../shared/schema.ts'
import type { IndexKeeper } from './index-keeper.ts'
import type { ConsistencyReport, Reconciler } from './reconciler.ts'

const consistencySchema = Type.Object(
  {
    consistent: Type.Boolean({ description: 'Of what was compared, both sides hold the same.' }),
    complete: Type.Boolean({ description: 'Every agent was compared: none is behind.' }),
    rebuilding: Type.Boolean({ description: 'An index is built beside the one that serves, or asked for.' }),
    agents_checked: Type.Integer(),
    agents_behind: Type.Integer({ description: 'Left out: their index is catching up.' }),
    agents_unreadable: Type.Integer({ description: 'Left out: the index did not say what it holds of them.' }),
    memories_checked: Type.Integer(),
    missing_in_index: Type.Integer(),
    outdated_in_index: Type.Integer(),
    orphaned_in_index: Type.Integer(),
    next_cursor: Type.Union([Type.String(), Type.Null()], {
      description:
        'The run ended by its time: ask again with it as `cursor`, for the agents behind it. Null: it came to the end.',
    }),
  },
  { $id: 'Consistency' },
)

const repairSchema = Type.Object(
  {
    ...consistencySchema.properties,
    agents_restarted: Type.Integer({ description: 'All of theirs is written to the index again, without embedding.' }),
    orphans_removed: Type.Integer({ description: 'Points of the index without a memory.' }),
  },
  { $id: 'Repair', description: 'What was found, and what was done about it.' },
)

const cursorQuery = Type.Object(
  { cursor: Type.Optional(Type.String({ maxLength: 1_024, description: 'The `next_cursor` of the run before.' })) },
  { additionalProperties: false },
)

const reindexSchema = Type.Object({ agents: Type.Integer() }, { $id: 'Reindex' })

const toConsistencyBody = (report: ConsistencyReport) => ({
  consistent: report.consistent,
  complete: report.complete,
  rebuilding: report.rebuilding,
  agents_checked: report.agentsChecked,
  agents_behind: report.agentsBehind,
  agents_unreadable: report.agentsUnreadable,
  memories_checked: report.memoriesChecked,
  missing_in_index: report.missingInIndex,
  outdated_in_index: report.outdatedInIndex,
  orphaned_in_index: report.orphanedInIndex,
  next_cursor: report.nextCursor,
})

export const registerIndexAdminRoutes = (
  app: App,
  { reconciler, indexKeeper }: { reconciler: Reconciler; indexKeeper: IndexKeeper },
): void => {
  app.addSchema(consistencySchema)
  app.addSchema(repairSchema)
  app.addSchema(reindexSchema)

  app.route({
    method: 'GET',
    url: '/v1/admin/consistency',
    config: { access: operatorAccess },
    schema: {
      operationId: 'getConsistency',
      summary: 'Compare PostgreSQL and the vector index, in both directions',
      tags: ['admin'],
      querystring: cursorQuery,
      response: { 200: refTo<object>('Consistency'), ...problems() },
    },
    handler: async ({ query }) => toConsistencyBody(await reconciler.check(query.cursor ?? null)),
  })

  app.route({
    method: 'POST',
    url: '/v1/admin/consistency/repair',
    config: { access: operatorAccess, repeatsSafely: true },
    schema: {
      operationId: 'repairConsistency',
      summary: 'Compare as getConsistency does, and mend what differs: from PostgreSQL to the index, never back',
      tags: ['admin'],
      querystring: cursorQuery,
      response: { 200: refTo<object>('Repair'), ...bodyProblems() },
    },
    handler: async ({ query }) => {
      const report = await reconciler.repair(query.cursor ?? null)
      return {
        ...toConsistencyBody(report),
        agents_restarted: report.agentsRestarted,
        orphans_removed: report.orphansRemoved,
      }
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/admin/reindex',
    config: { access: operatorAccess, repeatsSafely: true },
    schema: {
      operationId: 'reindex',
      summary: 'Build the vector index anew from PostgreSQL, beside the one that serves; nothing is embedded twice',
      tags: ['admin'],
      response: { 202: refTo<object>('Reindex'), ...bodyProblems(409) },
    },
    handler: async (_request, reply) => reply.code(202).send({ agents: await indexKeeper.rebuild() }),
  })
}
