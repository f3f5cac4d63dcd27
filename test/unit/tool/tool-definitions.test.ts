import { describe, expect, it } from 'vitest'
import { parseToolArguments } from '../../../src/modules/tool/tool-arguments.ts'
import { findToolKey, toolDefinitions, toolKeys } from '../../../src/modules/tool/tool-definitions.ts'
import { formatTools, toolFormats } from '../../../src/modules/tool/tool-formats.ts'

const wireNames = [
  ['Add_memory', 'add_memory', 'callAddMemory'],
  ['Update_memory', 'update_memory', 'callUpdateMemory'],
  ['Delete_memory', 'delete_memory', 'callDeleteMemory'],
  ['Retrieve_memory', 'retrieve_memory', 'callRetrieveMemory'],
  ['Summary_context', 'summary_context', 'callSummaryContext'],
  ['Filter_context', 'filter_context', 'callFilterContext'],
]

describe('the tools', () => {
  it('are six, under their names on the wire, in routes and as operations', () => {
    const names = toolKeys
      .map((key) => toolDefinitions[key])
      .map(({ name, key, operationId }) => [name, key, operationId])
    expect(names).toEqual(wireNames)
  })

  it('are found by wire name, route name and alias, whatever the case, and by nothing else', () => {
    expect(wireNames.flatMap(([name = '', key = '']) => [findToolKey(name), findToolKey(key)])).toEqual(
      wireNames.flatMap(([, key]) => [key, key]),
    )
    expect(findToolKey('Clear_context')).toBe('filter_context')
    expect(findToolKey(' ADD_MEMORY ')).toBe('add_memory')
    for (const name of ['', 'add', 'addmemory', 'constructor', '__proto__']) expect(findToolKey(name)).toBeNull()
  })

  it('each show an example in their description that the tool accepts', () => {
    for (const key of toolKeys) {
      const { description, name } = toolDefinitions[key]
      const call = JSON.parse(description.slice(description.indexOf('{"name"')))
      expect(call.name).toBe(name)
      expect(parseToolArguments(key, call.arguments)).toEqual({ ok: true, value: call.arguments })
    }
  })

  it('FILTER says that it removes what matches', () => {
    expect(toolDefinitions.filter_context.description).toContain('matches the criteria is REMOVED')
  })

  it('take no arguments but those named, and describe each', () => {
    for (const key of toolKeys) {
      const schema = JSON.parse(JSON.stringify(toolDefinitions[key].parameters))
      expect(schema.additionalProperties).toBe(false)
      for (const property of Object.values(schema.properties)) expect(property).toHaveProperty('description')
    }
  })
})

describe('formatTools', () => {
  it('gives the six tools with the same name, description and schema in every format', () => {
    const openai = formatTools('openai').map((tool) => [tool.type, tool.function.name, tool.function.parameters])
    const anthropic = formatTools('anthropic').map((tool) => ['function', tool.name, tool.input_schema])
    const mcp = formatTools('mcp').map((tool) => ['function', tool.name, tool.inputSchema])
    const agemem = formatTools('agemem').map((tool) => ['function', tool.name, tool.parameters])
    expect(openai).toHaveLength(6)
    expect(anthropic).toEqual(openai)
    expect(mcp).toEqual(openai)
    expect(agemem).toEqual(openai)
    for (const format of toolFormats) expect(JSON.parse(JSON.stringify(formatTools(format)))).toHaveLength(6)
  })

  it('tells MCP clients that only DELETE cannot be undone and only RETRIEVE changes nothing', () => {
    const tools = formatTools('mcp')
    const named = (hint: 'destructiveHint' | 'readOnlyHint') =>
      tools.filter((tool) => tool.annotations[hint]).map((tool) => tool.name)
    expect(named('destructiveHint')).toEqual(['Delete_memory'])
    expect(named('readOnlyHint')).toEqual(['Retrieve_memory'])
  })

  it('tells long-term from short-term tools', () => {
    expect(formatTools('agemem').map(({ kind }) => kind)).toEqual([
      ...Array(4).fill('long_term'),
      ...Array(2).fill('short_term'),
    ])
  })
})
