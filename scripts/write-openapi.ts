/** Writes openapi.yaml from the routes' schemas; with --check it only tells whether the file is what they give. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { loadConfig } from '../src/config.ts'
import { createService } from '../src/services.ts'

const file = new URL('../openapi.yaml', import.meta.url)
const dataDir = await mkdtemp(join(tmpdir(), 'agemem-openapi-'))
const service = await createService(loadConfig({ AGEMEM_DATA_DIR: dataDir }), pino({ level: 'silent' }))
const { payload } = await service.app.inject({ url: '/openapi.yaml' })
await service.close()
await rm(dataDir, { recursive: true, force: true })

if (process.argv.includes('--check')) {
  const written = await readFile(file, 'utf8').catch(() => '')
  if (written !== payload) {
    process.stderr.write('openapi.yaml is not what the routes give. Run: npm run openapi\n')
    process.exitCode = 1
  }
} else await writeFile(file, payload)
