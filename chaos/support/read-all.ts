/** Reads whole lists and exports through the API. */
import { at, type Fields, fieldsOf, listAt } from './door.ts'
import type { Tenant } from './service.ts'
import { sleep } from './wait.ts'

const pagesMax = 5_000
const triesMax = 20

/** A read that is refused for a moment is asked for again. @throws Error when it stays refused */
export const readWell = async (tenant: Tenant, path: string) => {
  for (let tries = 1; ; tries += 1) {
    const answer = await tenant.ask({ path })
    if (answer.status === 200) return answer
    if (tries === triesMax) throw new Error(`${path}: ${answer.status} ${answer.text.slice(0, 200)}`)
    await sleep(500)
  }
}

export const readList = async (tenant: Tenant, path: string): Promise<readonly Fields[]> => {
  const items: Fields[] = []
  const separator = path.includes('?') ? '&' : '?'
  let cursor: string | null = ''
  for (let page = 0; cursor !== null && page < pagesMax; page += 1) {
    const from: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const { fields } = await readWell(tenant, `${path}${separator}limit=200${from}`)
    items.push(...listAt(fields, 'data'))
    cursor = (at(fields, 'next_cursor') ?? null) as string | null
  }
  return items
}

/** Every memory of an agent; none where there is no such agent. */
export const readMemories = async (tenant: Tenant, agent: string): Promise<readonly Fields[]> => {
  const path = `/v1/agents/${agent}`
  if ((await tenant.ask({ path })).status === 404) return []
  const { text } = await readWell(tenant, `${path}/memories/export`)
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map(fieldsOf)
}
