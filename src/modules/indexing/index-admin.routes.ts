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
    memories_checked: Type.Integer(),
    missing_in_index: Type.Integer(),
    outdated_in_index: Type.Integer(),
    orphaned_in_index: Type.Integer(),
  },
  { $id: 'Consistency' },
)

const reindexSchema = Type.Object({ agents: Type.Integer() }, { $id: 'Reindex' })

const toConsistencyBody = (report: ConsistencyReport) => ({
  consistent: report.consistent,
  complete: report.complete,
  rebuilding: report.rebuilding,
  agents_checked: report.agentsChecked,
  agents_behind: report.agentsBehind,
  memories_checked: report.memoriesChecked,
  missing_in_index: report.missingInIndex,
  outdated_in_index: report.outdatedInIndex,
  orphaned_in_index: report.orphanedInIndex,
})

export const registerIndexAdminRoutes = (
  app: App,
  { reconciler, indexKeeper }: { reconciler: Reconciler; indexKeeper: IndexKeeper },
): void => {
  app.addSchema(consistencySchema)
  app.addSchema(reindexSchema)

  app.route({
    method: 'GET',
    url: '/v1/admin/consistency',
    config: { access: operatorAccess },
    schema: {
      operationId: 'getConsistency',
      summary: 'Compare PostgreSQL and the vector index, in both directions',
      tags: ['admin'],
      response: { 200: refTo<object>('Consistency'), ...problems() },
    },
    handler: async () => toConsistencyBody(await reconciler.check()),
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
