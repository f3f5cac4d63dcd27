/**
 * One transaction on one connection: its beginning, its statements, its end, and what may become of the connection.
 * `set` without `local` outlives a commit, so everything that a session can be told is set back to how the connection
 * began, role included, in the message that ends the transaction: it costs no round trip, and what fails to be set back
 * is not used again.
 */
import type pg from 'pg'
import { brokenInvariant } from '../../shared/errors.ts'
import type { SqlStatement } from '../../shared/sql.ts'
import { translateCommitError, translateDatabaseError } from './database-errors.ts'

export type Work<T> = (query: <Row>(statement: SqlStatement) => Promise<readonly Row[]>) => Promise<T>

/** Idle outside any transaction, by the server's own word. */
const isIdle = (client: pg.PoolClient): boolean =>
  (client as pg.PoolClient & { getTransactionStatus(): string | null }).getTransactionStatus() === 'I'

export type Transaction = {
  /** @throws AppError */
  run<T>(begin: string, work: Work<T>): Promise<T>
  /** May the next borrower have the connection? Asked when `run` has ended, or was never begun. */
  isClean(): boolean
}

export const createTransaction = (client: pg.PoolClient): Transaction => {
  /** So it is before anything was run. */
  let isAsItBegan = true

  /** Of a message with several statements the answer is a list, which the types do not know. */
  const end = async (how: 'commit' | 'rollback'): Promise<pg.QueryResult | undefined> => {
    const answers: unknown = await client.query(`${how}; reset all; reset role`)
    isAsItBegan = true
    return (answers as readonly pg.QueryResult[])[0]
  }

  const run = async <T>(begin: string, work: Work<T>): Promise<T> => {
    isAsItBegan = false
    const begun = client.query(begin)
    begun.catch(() => undefined)
    let isOver = false
    const query = async <Row>(statement: SqlStatement): Promise<readonly Row[]> => {
      // One of several branches that went on after another had failed: the connection may be somebody else's by now (T3).
      if (isOver) throw brokenInvariant('A statement came after the end of its transaction.')
      const config = { name: statement.name, text: statement.text, values: [...statement.values] }
      try {
        return (await client.query(config)).rows as Row[]
      } catch (error) {
        throw translateDatabaseError(error)
      }
    }
    let value: T
    try {
      value = await work(query)
      await begun.catch((error: unknown) => {
        throw translateDatabaseError(error)
      })
      isOver = true
    } catch (error) {
      isOver = true
      await end('rollback').catch(() => undefined)
      throw error
    }
    const committed = await end('commit').catch((error: unknown) => {
      throw translateCommitError(error)
    })
    if (committed?.command !== 'COMMIT') throw brokenInvariant('A transaction was rolled back at its commit.')
    return value
  }

  return { run, isClean: () => isAsItBegan && isIdle(client) }
}
