import type { SystemTransaction } from '../../ports/database.ts'
import { brokenInvariant } from '../../shared/errors.ts'
import { sql } from '../../shared/sql.ts'

/** Random and the same for every process of the installation. */
export const readInstallationSecret = async (tx: SystemTransaction): Promise<string> => {
  const rows = await tx.query<{ secret: string }>(sql`select secret from installation`)
  if (rows[0] === undefined) throw brokenInvariant('The installation has no row.')
  return rows[0].secret
}
