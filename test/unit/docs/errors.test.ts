import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../../', import.meta.url))

const sourceFiles = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
)

describe('docs/errors.md', () => {
  const headings = new Set(
    [...readFileSync(join(root, 'docs/errors.md'), 'utf8').matchAll(/^## (\S+)$/gm)].map(([, code]) => code),
  )

  it('has a heading for every code that the source gives an error', () => {
    const codes = sourceFiles.flatMap((name) => {
      const text = readFileSync(join(root, 'src', name), 'utf8')
      return [...text.matchAll(/(?:code: |refuse\(\s*)'([a-z_]+\.[a-z_]+)'/g)].map(([, code]) => code)
    })
    expect(codes.length).toBeGreaterThan(50)
    expect(codes.filter((code) => !headings.has(code ?? ''))).toEqual([])
  })
})
