/** Two compositions of the service on one database, as two processes are, and the database itself. */
import pg from 'pg'
import { createTestModules } from './modules.ts'

export const openTwoProcesses = async () => {
  const one = await createTestModules()
  const two = await createTestModules({ databaseUrl: one.url })
  const database = new pg.Pool({ connectionString: one.url })
  const close = async (): Promise<void> => {
    await database.end()
    await two.close()
    await one.close()
  }
  return { one, two, database, close }
}

export type TwoProcesses = Awaited<ReturnType<typeof openTwoProcesses>>
