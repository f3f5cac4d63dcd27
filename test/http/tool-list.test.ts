import { describe, expect, it } from 'vitest'
import { expectStatus, useApp } from '../support/http.ts'

describe('listTools', () => {
  const { http } = useApp()

  const names = ['Add_memory', 'Update_memory', 'Delete_memory', 'Retrieve_memory', 'Summary_context', 'Filter_context']
  const schema = expect.objectContaining({ type: 'object', properties: expect.any(Object) })
  const text = expect.any(String)

  it.each([
    [
      'agemem',
      (name: string) => ({ name, key: name.toLowerCase(), kind: text, description: text, parameters: schema }),
    ],
    ['openai', (name: string) => ({ type: 'function', function: { name, description: text, parameters: schema } })],
    ['anthropic', (name: string) => ({ name, description: text, input_schema: schema })],
    ['mcp', (name: string) => expect.objectContaining({ name, description: text, inputSchema: schema })],
  ])('in the form of %s', async (format, form) => {
    const { tools } = expectStatus(await http.get(`/v1/tools?format=${format}`), 200).json()
    expect(tools).toEqual(names.map(form))
    if (format === 'agemem') expect((await http.get('/v1/tools')).json()).toEqual({ tools })
  })

  it('refuses another form', async () => {
    expect((await http.get('/v1/tools?format=xml')).statusCode).toBe(400)
  })
})
