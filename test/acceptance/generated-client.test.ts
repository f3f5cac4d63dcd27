/** Teams generate clients from openapi.yaml: one is generated here, compiled under strict rules, and used. */
import { execFile } from 'node:child_process'
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import openapiTypescript, { astToString } from 'openapi-typescript'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestApp, type TestApp } from '../support/app.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** Outside of what `tsc` includes and inside of what resolves packages. */
const folder = join(root, '.scratch', `generated-client-${process.pid}`)

describe('a client that is generated from openapi.yaml', () => {
  let test: TestApp

  beforeAll(async () => {
    test = await createTestApp()
    await mkdir(folder, { recursive: true })
    await copyFile(join(root, 'test/fixtures/client/quick-start.ts.txt'), join(folder, 'quick-start.ts'))
    const types = astToString(await openapiTypescript(pathToFileURL(join(root, 'openapi.yaml'))))
    await writeFile(join(folder, 'schema.ts'), types)
    const compilerOptions = { noEmit: true }
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ extends: '../../tsconfig.json', compilerOptions, include: ['*.ts'] }),
    )
  })
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true })
    await test.close()
  })

  it('compiles under strict rules and runs the quick start', async () => {
    const compiler = join(root, 'node_modules/typescript/bin/tsc')
    await promisify(execFile)(process.execPath, [compiler, '-p', folder], { timeout: 60_000 })
    const { key } = await test.makeKey()
    const url = await test.app.listen({ host: '127.0.0.1', port: 0 })
    const { quickStart } = await import(join(folder, 'quick-start.ts'))
    expect(await quickStart(url, key)).toMatchObject({
      content: 'Ana is allergic to peanuts.',
      metadata: { topic: 'health' },
    })
  })
})
