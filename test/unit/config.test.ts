import { describe, expect, test } from 'vitest'
import { configKeys, loadConfig } from '../../src/config.ts'
import { AppError } from '../../src/shared/errors.ts'

const mistakesOf = (env: Record<string, string>): string => {
  try {
    loadConfig(env)
  } catch (error) {
    if (error instanceof AppError && error.code === 'config.invalid') return error.detail
    throw error
  }
  return ''
}

describe('settings', () => {
  test('all have a default, so an empty environment starts the embedded service', () => {
    const config = loadConfig({})
    expect(config).toMatchObject({ host: '127.0.0.1', port: 8080, dataDir: './data', logLevel: 'info' })
    expect(config).toMatchObject({ databaseUrl: null, qdrantUrl: null, embedderUrl: null, vllmUrl: null })
    expect(config).toMatchObject({ operatorKey: null, budgetTokens: 8_192, idempotencyTtlHours: 24 })
  })

  test('cannot be changed once they are read', () => {
    expect(Object.isFrozen(loadConfig({}))).toBe(true)
  })

  test('that are given empty count as absent, as compose files pass them on', () => {
    expect(loadConfig({ AGEMEM_QDRANT_URL: '', AGEMEM_PORT: '' })).toMatchObject({ qdrantUrl: null, port: 8080 })
  })

  test('outside AGEMEM_ belong to others', () => {
    expect(() => loadConfig({ PATH: '/bin', HOME: '/root' })).not.toThrow()
  })

  test('take a database behind a socket, whose URL has a login and no host', () => {
    const url = 'postgresql://agemem@/agemem?host=/run/postgresql'
    expect(loadConfig({ AGEMEM_DATABASE_URL: url }).databaseUrl).toBe(url)
  })

  test('keep the spaces of a prefix and drop the last slash of a URL', () => {
    const config = loadConfig({
      AGEMEM_EMBEDDER_URL: 'http://127.0.0.1:8101/',
      AGEMEM_EMBEDDER_MODEL: 'minilm',
      AGEMEM_EMBEDDER_QUERY_PREFIX: 'query: ',
    })
    expect(config.embedderQueryPrefix).toBe('query: ')
    expect(config.embedderUrl).toBe('http://127.0.0.1:8101')
  })
})

describe('mistakes', () => {
  test('are all in one message', () => {
    const detail = mistakesOf({ AGEMEM_PORT: '70000', AGEMEM_LOG_LEVEL: 'loud', AGEMEM_QDRANT_URL: 'qdrant:6333' })
    expect(detail).toMatch(/AGEMEM_PORT must be a whole number from 0 to 65535/)
    expect(detail).toMatch(/AGEMEM_LOG_LEVEL must be one of trace, debug/)
    expect(detail).toMatch(/AGEMEM_QDRANT_URL must be a URL/)
  })

  test.each(['1.5', '0x10 ', 'ten', ' ', 'NaN', 'Infinity', '-1'])('in a number are found: %j', (given) => {
    expect(mistakesOf({ AGEMEM_POOL_MAX: given })).toMatch(/AGEMEM_POOL_MAX must be a whole number/)
  })

  test('in a name are found, with the name that was meant', () => {
    expect(mistakesOf({ AGEMEM_QDRANT_ULR: 'http://127.0.0.1:6333' })).toMatch(/did you mean AGEMEM_QDRANT_URL\?/)
    expect(mistakesOf({ AGEMEM_ZZZ: '1' })).toMatch(/AGEMEM_ZZZ is not a setting$/m)
  })

  test('of leaving out what a setting needs beside it are found', () => {
    expect(mistakesOf({ AGEMEM_EMBEDDER_URL: 'http://127.0.0.1:8101' })).toMatch(/needs AGEMEM_EMBEDDER_MODEL/)
    expect(mistakesOf({ AGEMEM_DATABASE_OWNER_URL: 'postgresql://o@h/d' })).toMatch(/needs AGEMEM_DATABASE_URL/)
  })

  test('never show the value of a secret', () => {
    const secrets = configKeys.filter(({ isSecret }) => isSecret).map(({ name }) => name)
    expect(secrets).toEqual(
      expect.arrayContaining(['AGEMEM_DATABASE_URL', 'AGEMEM_OPERATOR_KEY', 'AGEMEM_VLLM_API_KEY']),
    )
    for (const name of secrets) {
      const detail = mistakesOf({ [name]: 'hunter2 é' })
      expect(detail).toContain(name)
      expect(detail).not.toContain('hunter2')
    }
  })
})

describe('the table of settings', () => {
  const fixed = [
    'HOST PORT DATA_DIR DATABASE_URL DATABASE_OWNER_URL QDRANT_URL QDRANT_API_KEY EMBEDDER_URL EMBEDDER_MODEL',
    'EMBEDDER_API_KEY EMBEDDER_INPUT_TYPE EMBEDDER_QUERY_PREFIX EMBEDDER_PASSAGE_PREFIX VLLM_URL VLLM_MODEL',
    'VLLM_API_KEY OPERATOR_KEY LOG_LEVEL',
  ]
  const names = configKeys.map(({ name }) => name)

  test('has each name once, and every name that the contract fixes', () => {
    expect(new Set(names).size).toBe(names.length)
    expect(names).toEqual(
      expect.arrayContaining(
        fixed
          .join(' ')
          .split(' ')
          .map((name) => `AGEMEM_${name}`),
      ),
    )
  })

  test('says what each setting means, in which unit where its name has one', () => {
    for (const { name, doc, unit } of configKeys) {
      expect(doc, name).toMatch(/^\S.{10,}\.$/)
      if (name.endsWith('_MS')) expect(unit, name).toBe('ms')
      if (name.endsWith('_BYTES')) expect(unit, name).toBe('bytes')
    }
  })

  test('has defaults that are read as they are written', () => {
    const env = Object.fromEntries(configKeys.flatMap((key) => (key.default === null ? [] : [[key.name, key.default]])))
    expect(loadConfig(env)).toEqual(loadConfig({}))
  })
})
