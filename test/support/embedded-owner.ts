/**
 * A service in small, for tests that kill it: `embedded-owner.ts <data folder>` starts the embedded database, prints
 * one line of JSON and stays, deaf to Ctrl-C. Exits with what went wrong as that line when it cannot start.
 */
import pino from 'pino'
import { startEmbeddedPostgres } from '../../src/drivers/database/embedded-postgres.ts'
import { AppError } from '../../src/shared/errors.ts'

process.on('SIGINT', () => {})
const print = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`)

try {
  const { url, pid, adopted } = await startEmbeddedPostgres({
    dataDir: process.argv[2] ?? '',
    logger: pino({ level: 'silent' }),
  })
  print({ url, pid, adopted })
  setInterval(() => {}, 60_000)
} catch (error) {
  print(error instanceof AppError ? { code: error.code, detail: error.detail } : { detail: String(error) })
}
