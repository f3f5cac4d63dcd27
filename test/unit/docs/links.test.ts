import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'

const link = /\]\(([^)#\s]+)(?:#[^)]*)?\)/g

describe('the documentation', () => {
  it('links to files that are there', () => {
    const pages = execFileSync('git', ['ls-files', '*.md'], { encoding: 'utf8' }).trim().split('\n')
    const broken = pages.flatMap((page) =>
      [...readFileSync(page, 'utf8').matchAll(link)]
        .map(([, target = '']) => target)
        .filter((target) => !target.startsWith('http') && !existsSync(join(dirname(page), target)))
        .map((target) => `${page}: ${target}`),
    )
    expect(broken).toEqual([])
  })

  it('numbers its decisions without gaps', () => {
    const files = execFileSync('git', ['ls-files', 'docs/decisions'], { encoding: 'utf8' }).trim().split('\n')
    const numbers = files.map((file) => Number(/(\d{4})-/.exec(file)?.[1]))
    expect(numbers).toEqual(files.map((_, at) => at + 1))
    for (const [at, file] of files.entries()) expect(readFileSync(file, 'utf8')).toMatch(new RegExp(`^# ${at + 1}\\. `))
  })
})
