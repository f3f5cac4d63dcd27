import fc from 'fast-check'
import { Compile } from 'typebox/compile'
import { describe, expect, it } from 'vitest'
import { parseModelArguments, parseToolArguments } from '../../../src/modules/tool/tool-arguments.ts'
import { toolKeys } from '../../../src/modules/tool/tool-definitions.ts'
import { type ToolKey, toolBodies } from '../../../src/modules/tool/tool-parameters.ts'

const pointers = (parsed: ReturnType<typeof parseToolArguments>) =>
  parsed.ok ? 'ok' : parsed.errors.map((error) => error.pointer)
const accepted = (value: unknown) => ({ ok: true, value })

describe('parseToolArguments', () => {
  it.each<[ToolKey, object]>([
    ['add_memory', { content: 'x' }],
    ['add_memory', { content: '\u{1f600}'.repeat(32_768), memory_type: 'fact', metadata: { a: [{ b: { c: {} } }] } }],
    ['update_memory', { memory_id: 'mem_1', content: 'x' }],
    ['update_memory', { memory_id: 'mem_1', metadata: {} }],
    ['delete_memory', { memory_id: 'mem_1', confirmation: true }],
    ['retrieve_memory', { query: 'x', top_k: 100, metadata_filter: { type: 'fact' } }],
    ['summary_context', { span: 'all' }],
    ['summary_context', { span: 4 }],
    ['filter_context', { criteria: 'weather, pets' }],
  ])('%s accepts its arguments as they are: %#', (key, args) => {
    expect(parseToolArguments(key, args)).toEqual(accepted(args))
  })

  it.each<[ToolKey, unknown, string[]]>([
    ['add_memory', {}, ['/content']],
    ['add_memory', { content: '' }, ['/content']],
    ['add_memory', { content: ' \n\u200b' }, ['/content']],
    ['add_memory', { content: 'x'.repeat(32_769) }, ['/content']],
    ['add_memory', { content: 7 }, ['/content']],
    ['add_memory', { content: 'x\u0000' }, ['/content']],
    ['add_memory', { content: 'x\ud83d' }, ['/content']],
    ['add_memory', { content: 'x', metadata: [] }, ['/metadata']],
    ['add_memory', { content: 'x', metadata: { a: { b: { c: { d: { e: {} } } } } } }, ['/metadata']],
    ['add_memory', { content: 'x', metadata: { a: 'x'.repeat(8_192) } }, ['/metadata']],
    ['add_memory', { content: 'x', memory_type: ' ' }, ['/memory_type']],
    ['add_memory', { content: 'x', ttl: 1, 'a/b': 2 }, ['/ttl', '/a~1b']],
    ['add_memory', JSON.parse('{"content": "x", "__proto__": {}}'), ['']],
    ['add_memory', null, ['']],
    ['add_memory', [], ['']],
    ['update_memory', { memory_id: 'mem_1' }, ['']],
    ['update_memory', { content: 'x' }, ['/memory_id']],
    ['delete_memory', { memory_id: 'mem_1' }, ['/confirmation']],
    ['delete_memory', { memory_id: 'mem_1', confirmation: false }, ['/confirmation']],
    ['delete_memory', { memory_id: 'mem_1', confirmation: 'true' }, ['/confirmation']],
    ['delete_memory', { confirmation: true }, ['/memory_id']],
    ['retrieve_memory', { query: 'x', top_k: 0 }, ['/top_k']],
    ['retrieve_memory', { query: 'x', top_k: 101 }, ['/top_k']],
    ['retrieve_memory', { query: 'x', top_k: 1.5 }, ['/top_k']],
    ['retrieve_memory', { query: 'x', top_k: '3' }, ['/top_k']],
    ['retrieve_memory', { query: 'x', metadata_filter: 'type=fact' }, ['/metadata_filter']],
    ['summary_context', {}, ['/span']],
    ['summary_context', { span: 'last' }, ['/span']],
    ['summary_context', { span: '' }, ['/span']],
    ['summary_context', { span: 0 }, ['/span']],
    ['summary_context', { span: '0' }, ['/span']],
    ['summary_context', { span: -1 }, ['/span']],
    ['summary_context', { span: 2.5 }, ['/span']],
    ['summary_context', { span: null }, ['/span']],
    ['filter_context', { criteria: '\t' }, ['/criteria']],
  ])('%s refuses what is wrong, pointing at it: %#', (key, args, expected) => {
    expect(pointers(parseToolArguments(key, args))).toEqual(expected)
  })

  it('names every field that is wrong, each once', () => {
    expect(pointers(parseToolArguments('retrieve_memory', { query: '', top_k: 'many', limit: 3 }))).toEqual(
      expect.arrayContaining(['/query', '/top_k', '/limit']),
    )
  })

  it('reads a span of text, "full" and any case as what they stand for, and never a wrong one as "all"', () => {
    const spans = ['all', 'ALL', ' full ', 'Full', '12', ' 3 ', '007', '9'.repeat(30)]
    expect(spans.map((span) => parseToolArguments('summary_context', { span }))).toEqual(
      ['all', 'all', 'all', 'all', 12, 3, 7, Number.MAX_SAFE_INTEGER].map((span) => accepted({ span })),
    )
    fc.assert(
      fc.property(fc.string(), (span) => {
        fc.pre(!/^\s*(all|full|\d+)\s*$/i.test(span))
        expect(parseToolArguments('summary_context', { span }).ok).toBe(false)
      }),
    )
  })

  it('takes "confirmed" for "confirmation", and deletes nothing when either says no', () => {
    const parse = (args: object) => parseToolArguments('delete_memory', { memory_id: 'mem_1', ...args })
    expect(parse({ confirmed: true })).toEqual(accepted({ memory_id: 'mem_1', confirmation: true }))
    expect(parse({ confirmed: true, confirmation: true }).ok).toBe(true)
    const refused = [
      { confirmed: false },
      { confirmed: true, confirmation: false },
      { confirmed: false, confirmation: true },
    ]
    for (const args of refused) expect(pointers(parse(args))).toEqual(['/confirmation'])
  })

  it('decides about a deletion itself: the body may leave the confirmation out, or use its alias', () => {
    const body = Compile(toolBodies.delete_memory)
    for (const fields of [{}, { confirmed: true }, { confirmation: true }]) {
      expect(body.Check({ memory_id: 'mem_1', ...fields })).toBe(true)
    }
  })

  it('says why a deletion without confirmation is refused and what to do', () => {
    const parsed = parseToolArguments('delete_memory', { memory_id: 'mem_1' })
    expect(parsed.ok ? [] : parsed.errors[0]?.detail).toMatch(/cannot be undone.*"confirmation": true/)
  })

  it('never throws, whatever the arguments', () => {
    fc.assert(
      fc.property(fc.constantFrom(...toolKeys), fc.anything({ withNullPrototype: true }), (key, args) => {
        expect(typeof parseToolArguments(key, args).ok).toBe('boolean')
        expect(typeof parseModelArguments(key, args).ok).toBe('boolean')
      }),
    )
  })
})

describe('parseModelArguments', () => {
  it('mends what can mean one thing only: numbers, booleans and objects as text, null for nothing', () => {
    expect(parseModelArguments('retrieve_memory', { query: 'x', top_k: ' 5 ', metadata_filter: null })).toEqual(
      accepted({ query: 'x', top_k: 5 }),
    )
    expect(parseModelArguments('delete_memory', { memory_id: 'mem_1', confirmed: 'True' })).toEqual(
      accepted({ memory_id: 'mem_1', confirmation: true }),
    )
    expect(parseModelArguments('add_memory', { content: 'x', metadata: '{"a": 1}' })).toEqual(
      accepted({ content: 'x', metadata: { a: 1 } }),
    )
  })

  it('still refuses what it would have to guess', () => {
    expect(pointers(parseModelArguments('retrieve_memory', { query: 'x', top_k: 'three' }))).toEqual(['/top_k'])
    expect(pointers(parseModelArguments('delete_memory', { memory_id: 'm', confirmation: 'yes' }))).toEqual([
      '/confirmation',
    ])
    expect(pointers(parseModelArguments('add_memory', { content: 'x', metadata: 'a=1' }))).toEqual(['/metadata'])
    expect(pointers(parseModelArguments('retrieve_memory', { query: 'x', memory_type: 'fact' }))).toEqual([
      '/memory_type',
    ])
    expect(pointers(parseModelArguments('filter_context', null))).toEqual(['/criteria'])
    expect(pointers(parseModelArguments('filter_context', 'weather'))).toEqual([''])
  })
})
