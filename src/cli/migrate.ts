/** `npm run migrate`: applies the migrations and exits. */
import pino from 'pino'
import { loadConfig } from '../config.ts'
import { migrateDatabase } from '../open-drivers.ts'
import { isAppError } from '../shared/errors.ts'

try {
  const config = loadConfig()
  const logger = pino({ level: config.logLevel })
  await migrateDatabase(config, logger)
  process.stdout.write('migrated\n')
} catch (error) {
  process.stderr.write(`${isAppError(error) ? error.detail : String(error)}\n`)
  process.exitCode = 1
}
