import { existsSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, expect, it } from 'vitest'

/** The rows of the tables, each as its first cell and the test files of its last; a name without a folder is in that of the one before. */
const rows = readFileSync('docs/invariants.md', 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && line.includes('.ts`'))
  .map((line) => {
    const cells = line.split(' | ')
    let folder = ''
    const files = [...(cells.at(-1) ?? '').matchAll(/`(\S+\.ts)`/g)].map(([, name = '']) => {
      if (name.includes('/')) folder = dirname(name)
      return name.includes('/') ? name : `${folder}/${name}`
    })
    return { first: (cells[0] ?? '').slice(2).trim(), files }
  })

const guarantees = rows.filter(({ first }) => /^[A-Z]\d+$/.test(first))

describe('the list of guarantees', () => {
  it('names tests that are there', () => {
    expect(rows.length).toBeGreaterThan(60)
    expect(rows.flatMap(({ files }) => files).filter((file) => !existsSync(file))).toEqual([])
  })

  it.each(guarantees)('names tests that name $first', ({ first, files }) => {
    const silent = files.filter((file) => !new RegExp(`\\b${first}\\b`).test(readFileSync(file, 'utf8')))
    expect(silent).toEqual([])
  })
})
