import { describe, expect, it } from 'vitest'
import { parseModelOutput } from '../../../src/modules/tool/parse-output.ts'

const add = (content: string) => JSON.stringify({ name: 'Add_memory', arguments: { content } })
const block = (json: string) => `<tool_call>${json}</tool_call>`
const step = (rest: string) => `<think>t</think>${rest}`

/** The parse in short: names and contents of the calls, and the codes of the violations. */
const read = (text: string) => {
  const { think, answer, calls, violations } = parseModelOutput(text)
  return {
    think,
    answer,
    calls: calls.map((call) => `${call.name}(${Object.values(call.arguments).join()})`),
    codes: violations.map(({ code }) => code),
  }
}

describe('a step in the format', () => {
  it('with calls gives them in order, with ids, and no violation', () => {
    const text = `<think> Two facts. </think>\n${block(`[${add('x')}, {"name": "Clear_context", "arguments": {"criteria": "y"}}]`)}`
    expect(parseModelOutput(text)).toEqual({
      think: 'Two facts.',
      answer: null,
      calls: [
        { toolCallId: 'call_1', name: 'Add_memory', tool: 'add_memory', arguments: { content: 'x' } },
        { toolCallId: 'call_2', name: 'Clear_context', tool: 'filter_context', arguments: { criteria: 'y' } },
      ],
      violations: [],
    })
    expect(parseModelOutput(text, { callIdPrefix: 'stp_1' }).calls[1]?.toolCallId).toBe('stp_1_2')
  })

  it('with an answer gives the answer', () => {
    expect(read('<think>t</think><answer> Paris </answer>')).toEqual({
      think: 't',
      answer: 'Paris',
      calls: [],
      codes: [],
    })
  })
})

describe('tags', () => {
  it.each([
    ['a call tag left open', step(`<tool_call>[${add('x')}]`), ['Add_memory(x)'], null, ['unclosed_block']],
    ['an answer left open', step('<answer>Paris'), [], 'Paris', ['unclosed_block']],
    [
      'thinking left open before a call',
      `<think>t ${block(`[${add('x')}]`)}`,
      ['Add_memory(x)'],
      null,
      ['unclosed_block'],
    ],
    ['thinking left open before an answer', '<think>t <answer>Paris</answer>\n', [], 'Paris', ['unclosed_block']],
    ['thinking and call left open', `<think>t <tool_call>[${add('x')}]`, ['Add_memory(x)'], null, ['unclosed_block']],
    [
      'an answer left open before a call',
      step(`<answer>a ${block(`[${add('x')}]`)}`),
      ['Add_memory(x)'],
      null,
      ['unclosed_block', 'call_and_answer'],
    ],
    [
      'a call closed by the answer after it',
      step(`<tool_call>[${add('x')}]<answer>a</answer>`),
      ['Add_memory(x)'],
      null,
      ['unclosed_block', 'call_and_answer'],
    ],
    [
      '</think> alone, as after a template that opens it',
      `t</think>${block(`[${add('x')}]`)}`,
      ['Add_memory(x)'],
      null,
      ['unopened_think'],
    ],
    ['tags in capitals', `<THINK>t</THINK><Tool_Call>[${add('x')}]</Tool_Call>`, ['Add_memory(x)'], null, []],
    [
      'call tags one in the other',
      step(`<tool_call>${block(`[${add('x')}]`)}</tool_call>`),
      ['Add_memory(x)'],
      null,
      ['empty_tool_call', 'unclosed_block', 'stray_tag', 'repeated_block'],
    ],
    [
      'one block for each call',
      step(`${block(add('x'))}\n${block(add('y'))}`),
      ['Add_memory(x)', 'Add_memory(y)'],
      null,
      ['call_not_in_array', 'repeated_block'],
    ],
    [
      'two answers, of which the first counts',
      step('<answer>a</answer><answer>b</answer>'),
      [],
      'a',
      ['repeated_block'],
    ],
    ['a closing tag too many', step('<answer>a</answer></answer>'), [], 'a', ['stray_tag']],
    ['text between blocks', step('So: <answer>a</answer> Done.'), [], 'a', ['text_outside_blocks']],
    [
      'an answer and calls',
      step(`${block(`[${add('x')}]`)}<answer>a</answer>`),
      ['Add_memory(x)'],
      null,
      ['call_and_answer'],
    ],
  ])('%s', (_name, text, calls, answer, codes) => {
    expect(read(text)).toMatchObject({ think: 't', calls, answer })
    expect(read(text).codes.toSorted()).toEqual(codes.toSorted())
  })

  it('several think blocks are joined', () => {
    expect(read('<think>a</think><think>b</think><answer>c</answer>')).toMatchObject({ think: 'a\n\nb', answer: 'c' })
  })

  it('inside thinking are not calls, opened or not', () => {
    const draft = `Maybe ${block(`[${add('x')}]`)} or <answer>a</answer>?`
    for (const text of [`<think>${draft}</think>`, `${draft}</think>`]) {
      expect(read(`${text}<answer>b</answer>`)).toMatchObject({ think: draft, answer: 'b', calls: [] })
    }
  })

  it('inside thinking that breaks off are neither calls nor an answer', () => {
    expect(read(`<think>I could send ${block(`[${add('x')}]`)} but then again`)).toMatchObject({
      calls: [],
      answer: null,
    })
    expect(read('<think>In the end I write <answer> and then')).toMatchObject({ calls: [], answer: null })
    expect(read('<think>I should use <tool_call> and then')).toMatchObject({ calls: [], answer: null })
  })

  it('inside an answer are text', () => {
    const answer = `Write ${block(`[${add('x')}]`)} or </think> or Delete_memory.`
    expect(read(`<think>t</think><answer>${answer}</answer>`)).toMatchObject({ answer, calls: [] })
    expect(read('<answer>Close it by </think> then.</answer>')).toMatchObject({ answer: 'Close it by </think> then.' })
  })

  it('inside a string of a call are part of the string', () => {
    const content = 'ends with </tool_call>, then <answer>a</answer> and </think>'
    expect(read(step(block(`[${add(content)}]`)))).toMatchObject({
      calls: [`Add_memory(${content})`],
      answer: null,
      codes: [],
    })
  })
})

describe('the JSON of calls', () => {
  const one = '{"name": "Add_memory", "arguments": {"content": "x"}}'
  it.each([
    ['one object', one, ['call_not_in_array']],
    ['objects without an array', `${one}\n`, ['call_not_in_array']],
    ['a code fence', `\n\`\`\`json\n[${one}]\n\`\`\`\n`, ['text_around_json']],
    ['prose around it', `Here is [the call]: [${one}] {done}.`, ['text_around_json']],
    ['commas before closing brackets', '[{"name": "Add_memory", "arguments": {"content": "x",},},]', ['loose_json']],
    ['Python literals', "[{'name': 'Add_memory', 'arguments': {'content': 'x'}}]", ['loose_json']],
    [
      'arguments as JSON text',
      `[{"name": "Add_memory", "arguments": ${JSON.stringify('{"content": "x"}')}}]`,
      ['arguments_as_text'],
    ],
    ['parameters for arguments', '[{"name": "Add_memory", "parameters": {"content": "x"}}]', ['call_shape']],
    ["OpenAI's wrapping", `[{"id": "a", "type": "function", "function": ${one}}]`, ['call_shape']],
    ['the same call twice', `[${one}, {"arguments": {"content": "x"}, "name": "add_memory"}]`, ['duplicate_call']],
    ['an entry that is no call', `[${one}, 7, {"content": "y"}]`, ['call_shape', 'malformed_call']],
  ])('may be %s', (_name, json, codes) => {
    expect(read(step(block(json))).calls).toEqual(['Add_memory(x)'])
    expect(read(step(block(json))).codes.toSorted()).toEqual(codes.toSorted())
  })

  it.each([
    '[{"name": "Add_memory", "arguments": {"content": "x"}}, {"name": "Del',
    '[{"name": "Add_memory", "arguments": {"content": "x"}',
    '[{"name": "Add_memory", "arguments": {"content": "x}}]',
    '{name: "Add_memory"}',
    '[{"name" "Add_memory"}]',
  ])('gives no call at all when it is malformed, and no answer either: %s', (json) => {
    for (const text of [step(block(json)), step(`${block(json)}<answer>a</answer>`), step(`<tool_call>${json}`)]) {
      expect(read(text)).toMatchObject({ calls: [], answer: null })
      expect(read(text).codes).toContain('malformed_json')
    }
  })

  it('that is malformed in one block leaves the calls of the next', () => {
    const text = step(`${block('[{"name": "Add_memory, "arguments": {}}]')}${block(`[${add('y')}]`)}`)
    expect(read(text)).toMatchObject({ calls: ['Add_memory(y)'] })
    expect(read(text).codes).toContain('malformed_json')
  })

  it('may be missing: a block without a call does not stop an answer', () => {
    for (const json of ['', '[]', 'none needed']) {
      expect(read(step(`${block(json)}<answer>a</answer>`))).toMatchObject({ calls: [], answer: 'a' })
      expect(read(step(block(json))).codes).toContain('empty_tool_call')
    }
  })
})

describe('a call that cannot run', () => {
  const callOf = (json: string) => parseModelOutput(step(block(json))).calls[0]

  it('for want of such a tool is kept, so that the model gets an answer', () => {
    expect(callOf('[{"name": "Fly", "arguments": {"to": "x"}}]')).toMatchObject({
      name: 'Fly',
      tool: null,
      arguments: { to: 'x' },
      problem: { code: 'unknown_tool', detail: expect.stringContaining('Add_memory, Update_memory') },
    })
  })

  it.each([
    ['["x"]', 'invalid_arguments', '["x"]'],
    ['"x"', 'invalid_arguments', '"x"'],
    ['{"content": "\\u0000"}', 'unsafe_text', '{"content":"\\u0000"}'],
    ['{"content": "\\ud83d"}', 'unsafe_text', '{"content":"\\ud83d"}'],
    ['{"__proto__": {}}', 'unsafe_text', '{"__proto__":{}}'],
  ])('with arguments %s keeps them as text that can be stored', (json, code, raw) => {
    expect(callOf(`[{"name": "Add_memory", "arguments": ${json}}]`)).toMatchObject({
      arguments: {},
      raw,
      problem: { code },
    })
  })
})

describe('odd outputs', () => {
  it.each([
    ['', ['empty_output']],
    [' \n', ['empty_output']],
    ['Paris', ['missing_think', 'no_action', 'text_outside_blocks']],
    [`[${add('x')}]`, ['missing_think', 'no_action', 'text_outside_blocks']],
    ['<think>t</think>', ['no_action']],
    ['<think>t</think><answer> </answer>', ['empty_answer']],
    ['<answer>\u0000</answer>', ['missing_think', 'unsafe_text']],
  ])('%j gives no call', (text, codes) => {
    expect(read(text).calls).toEqual([])
    expect(read(text).codes.toSorted()).toEqual(codes)
  })

  it('come out as text that can be stored', () => {
    expect(read('<think>a\u0000b\ud83d</think><answer>\udc00</answer>')).toMatchObject({
      think: 'a\ufffdb\ufffd',
      answer: '\ufffd',
    })
  })

  it('of 200 calls give the first 32', () => {
    const parsed = parseModelOutput(step(block(`[${Array.from({ length: 200 }, (_, i) => add(`${i}`)).join()}]`)))
    expect(parsed.calls.map((call) => call.arguments.content)).toEqual(Array.from({ length: 32 }, (_, i) => `${i}`))
    expect(parsed.violations).toMatchObject([{ code: 'too_many_calls', count: 168 }])
  })

  it('have at most one violation of a kind, with how often it occurred', () => {
    expect(parseModelOutput(`${step('')}${'</answer>'.repeat(1000)}`).violations).toMatchObject(
      [
        { code: 'no_action', count: 1 },
        { code: 'stray_tag', count: 1000 },
      ].toReversed(),
    )
  })
})
