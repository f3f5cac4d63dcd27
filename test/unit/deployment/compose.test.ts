import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { configKeys } from '../../../src/config.ts'
import { readCompose, readDockerfileStages, readEnvironmentExample, readProjectFile } from './deployment-files.ts'

const compose = readCompose()
const text = readProjectFile('docker-compose.yml')
const services = Object.entries(compose.services)
const serviceOf = (name: string) => {
  const service = compose.services[name]
  if (service === undefined) throw new Error(`docker-compose.yml has no service ${name}`)
  return service
}

const interpolations = [...text.matchAll(/\$\{([A-Z0-9_]+)(?:(:\?|:-)([^}]*))?\}/g)].map(
  ([, name = '', operator = '', operand = '']) => ({ name, operator, operand }),
)

describe('docker-compose.yml', () => {
  test('is a valid file of the Compose Specification', () => {
    const schema = JSON.parse(readProjectFile('test/fixtures/compose-spec.json'))
    const ajv = new Ajv({ strict: false, validateSchema: false, allErrors: true })
    const isValid = ajv.compile(schema)
    isValid(compose)
    expect(isValid.errors).toBeNull()
    expect(isValid({ services: { agemem: { healthchek: {} } } })).toBe(false)
  })

  test.each(services)(
    '%s tells whether it is healthy, comes back after a crash and has an image that is pinned',
    (...entry) => {
      const [, { healthcheck, build, image, restart }] = entry
      const ofImage =
        build === '.' &&
        readDockerfileStages()
          .at(-1)
          ?.some(({ keyword }) => keyword === 'HEALTHCHECK')
      expect(healthcheck !== undefined || ofImage).toBe(true)
      expect(restart).toBe('unless-stopped')
      expect((build === undefined) !== (image === undefined)).toBe(true)
      if (image !== undefined) expect(image).toMatch(/:v?\d[\w.-]*\}?$/)
    },
  )

  test.each(services)('%s has a bound on memory, or reserves a GPU', (...entry) => {
    const { limits, reservations } = entry[1].deploy.resources
    expect(limits?.memory ?? reservations?.devices.flatMap(({ capabilities }) => capabilities)).toBeTruthy()
  })

  test('no secret has a default, and none is written in the file', () => {
    const secrets = interpolations.filter(({ name }) => /PASSWORD|KEY|TOKEN|SECRET/.test(name))
    expect(new Set(secrets.map(({ name }) => name))).toEqual(
      new Set([
        'POSTGRES_PASSWORD',
        'POSTGRES_SERVICE_PASSWORD',
        'POSTGRES_WORKER_PASSWORD',
        'QDRANT_API_KEY',
        'AGEMEM_VLLM_API_KEY',
      ]),
    )
    for (const { name, operator, operand } of secrets)
      expect({ name, operator, isEmpty: operand === '' }).toEqual(
        // The model is optional and reached by this service alone, so its key may be absent, but it has no default.
        name === 'AGEMEM_VLLM_API_KEY'
          ? { name, operator: ':-', isEmpty: true }
          : { name, operator: ':?', isEmpty: false },
      )
    for (const [, { environment }] of services)
      for (const [name, value] of Object.entries(environment))
        if (/PASSWORD|KEY$|TOKEN/.test(name)) expect(value ?? '').toMatch(/^(\$\{[^}]+\})?$/)
  })

  test('only the service is published, and by default to this machine alone', () => {
    expect(services.flatMap(([name, { ports = [] }]) => ports.map((port) => [name, port]))).toEqual([
      ['agemem', `\${PUBLISH_ADDRESS:-127.0.0.1}:\${PUBLISH_PORT:-8080}:8080`],
    ])
  })

  test('PostgreSQL and Qdrant stand on networks without a way out', () => {
    for (const name of ['postgres', 'qdrant'])
      for (const network of serviceOf(name).networks) expect(compose.networks[network]?.internal).toBe(true)
  })

  test('requests, what belongs to no tenant, and migrations use different logins', () => {
    const {
      AGEMEM_DATABASE_URL = '',
      AGEMEM_DATABASE_BACKGROUND_URL = '',
      AGEMEM_DATABASE_OWNER_URL = '',
    } = serviceOf('agemem').environment
    const loginOf = (url: string | null) => /^postgresql:\/\/([^:]+):/.exec(url ?? '')?.[1]
    expect(loginOf(AGEMEM_DATABASE_URL)).toBe('agemem_service')
    expect(loginOf(AGEMEM_DATABASE_BACKGROUND_URL)).toBe('agemem_worker')
    expect(loginOf(AGEMEM_DATABASE_OWNER_URL)).toBe(serviceOf('postgres').environment.POSTGRES_USER)
    for (const [login, password] of Object.entries({
      agemem_service: 'service_password',
      agemem_worker: 'worker_password',
    }))
      expect(compose.configs['service-login']?.content).toMatch(
        new RegExp(`^create role ${login} login password :'${password}';$`, 'm'),
      )
  })

  test('the service waits until its stores are healthy, and for the model only where there is one', () => {
    const { depends_on } = serviceOf('agemem')
    expect(depends_on).toEqual({
      postgres: { condition: 'service_healthy' },
      qdrant: { condition: 'service_healthy' },
      vllm: { condition: 'service_healthy', required: false },
    })
    expect(services.filter(([, { profiles }]) => profiles !== undefined).map(([name]) => name)).toEqual(['vllm'])
  })

  test('what has to outlive a container is in named volumes', () => {
    const used = services.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(':')[0]))
    expect(used.sort()).toEqual(Object.keys(compose.volumes).sort())
    expect(serviceOf('postgres').volumes).toContain('postgres-data:/var/lib/postgresql/data')
    expect(serviceOf('qdrant').volumes).toContain('qdrant-storage:/qdrant/storage')
  })

  test('SIGTERM reaches Qdrant itself, whose image would end before it', () => {
    expect(serviceOf('qdrant').command).toEqual(['./qdrant'])
  })

  test('every AGEMEM_ variable is a setting', () => {
    const names = configKeys.map(({ name }) => name)
    const used = [...text.matchAll(/AGEMEM_[A-Z0-9_]+/g)].map(([name]) => name).filter((name) => name !== 'AGEMEM_')
    expect(used.length).toBeGreaterThan(0)
    expect(used.filter((name) => !names.includes(name))).toEqual([])
  })

  test('every variable that it takes is in .env.example', () => {
    const known = readEnvironmentExample().map(({ name }) => name)
    const passed = services.flatMap(([, { environment }]) =>
      Object.entries(environment).flatMap(([name, value]) => (value === null ? [name] : [])),
    )
    const taken = [...interpolations.map(({ name }) => name), ...passed]
    expect(taken.filter((name) => !known.includes(name))).toEqual([])
  })
})
