import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../..', import.meta.url))

const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(join(root, 'src', name), 'utf8'))

const page = readFileSync(join(root, 'docs/errors.md'), 'utf8')

/** Statuses that the page gives, by code. */
const documented = new Map(
  [...page.matchAll(/^## (\S+)\n\n(\d{3})\. /gm)].map(([, code = '', status]) => [code, Number(status)]),
)

const code = `'([a-z_]+\\.[a-z_]+)'`
/** The ways in which the source gives an error its code and status. */
const pairForms = [
  new RegExp(`code: ${code},\\s*status: (\\d{3})`, 'g'),
  new RegExp(`refuse\\(\\s*${code},\\s*(\\d{3})`, 'g'),
  new RegExp(`^  ${code}: (\\d{3}),$`, 'gm'),
]
const pairs = sources.flatMap((text) =>
  pairForms.flatMap((form) => [...text.matchAll(form)].map(([, name = '', status]) => [name, Number(status)] as const)),
)

describe('docs/errors.md', () => {
  it('has a heading with a status for every code that the source gives an error', () => {
    const codes = sources.flatMap((text) =>
      [...text.matchAll(/(?:code: |refuse\(\s*)'([a-z_]+\.[a-z_]+)'/g)].map(([, name = '']) => name),
    )
    expect(codes.length).toBeGreaterThan(50)
    expect(codes.filter((name) => !documented.has(name))).toEqual([])
    expect([...page.matchAll(/^## (\S+)$/gm)].map(([, name]) => name)).toEqual([...documented.keys()])
  })

  it('gives each code the status that the source gives it', () => {
    expect(pairs.length).toBeGreaterThan(50)
    expect(pairs.filter(([name, status]) => documented.get(name) !== status)).toEqual([])
  })

  it('has no heading of a code that is gone', () => {
    const all = sources.join('\n')
    /** Put together from two pieces: a prefix, and what the source names apart. */
    const isInPieces = (name: string) => {
      const [area = '', what = ''] = name.split('.')
      return all.includes(`\`${area}.$\{`) && all.includes(`'${what}'`)
    }
    expect([...documented.keys()].filter((name) => !all.includes(`'${name}'`) && !isInPieces(name))).toEqual([])
  })
})
