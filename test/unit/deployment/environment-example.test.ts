import { describe, expect, test } from 'vitest'
import { configKeys, loadConfig } from '../../../src/config.ts'
import { readEnvironmentExample } from './deployment-files.ts'

const entries = readEnvironmentExample()
const settings = entries.filter(({ name }) => name.startsWith('AGEMEM_'))

describe('.env.example', () => {
  test('names every setting once and nothing that is not one', () => {
    expect(settings.map(({ name }) => name).sort()).toEqual(configKeys.map(({ name }) => name).sort())
  })

  test('works as it is: nothing is set', () => {
    expect(entries.filter(({ isActive }) => isActive)).toEqual([])
  })

  test('shows the default of every setting that has one, and a secret of none', () => {
    const shown = new Map(settings.map(({ name, value }) => [name, value]))
    for (const key of configKeys) {
      if (key.default !== null && key.default !== '')
        expect([key.name, shown.get(key.name)]).toEqual([key.name, key.default])
      if (key.isSecret && !key.name.endsWith('_URL')) expect([key.name, shown.get(key.name)]).toEqual([key.name, ''])
    }
  })

  test('has examples that the service accepts', () => {
    const unquoted = settings.map(({ name, value }) => [name, value.replace(/^'(.*)'$/, '$1')])
    expect(() => loadConfig(Object.fromEntries(unquoted))).not.toThrow()
  })

  test('gives no password and no key', () => {
    const secrets = entries.filter(({ name }) => /PASSWORD|KEY$|TOKEN$/.test(name))
    expect(secrets.filter(({ value }) => value !== '')).toEqual([])
  })
})
