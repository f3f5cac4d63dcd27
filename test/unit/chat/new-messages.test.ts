import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type KnownMessage, newMessageSteps, seenByClient } from '../../../src/modules/chat/new-messages.ts'
import type { NewMessage } from '../../../src/modules/context/plan-append.ts'
import { atOnce } from '../../../src/shared/yielding.ts'

const newMessagesOf = (...given: Parameters<typeof newMessageSteps>) => atOnce(newMessageSteps(...given))

type Said = { readonly role: 'user' | 'assistant'; readonly content: string }

const user = (content: string): NewMessage => ({ role: 'user', content })
const assistant = (content: string): NewMessage => ({ role: 'assistant', content })
const system = (content: string): NewMessage => ({ role: 'system', content })
const calling = (id: string, name = 'get_weather'): NewMessage => ({
  role: 'assistant',
  content: '',
  toolCalls: [{ id, type: 'function', function: { name, arguments: '{}' } }],
})
const result = (toolCallId: string): NewMessage => ({ role: 'tool', content: 'sunny', toolCallId })

const known = (...messages: readonly NewMessage[]): readonly KnownMessage[] =>
  messages.map(({ toolCalls = null, toolCallId = null, ...rest }) => ({ ...rest, toolCalls, toolCallId }))

const textsOf = (messages: readonly { readonly content: string }[]) => messages.map(({ content }) => content)

/** Turns of few texts, so that they are often equal. */
const turns = (max: number, texts = ['a', 'b', 'c']): fc.Arbitrary<NewMessage[]> =>
  fc
    .array(
      fc.record({ role: fc.constantFrom('user' as const, 'assistant' as const), content: fc.constantFrom(...texts) }),
      {
        maxLength: max,
      },
    )
    .map((messages: readonly Said[]) => messages.map((message) => ({ ...message })))

describe('which messages of a request are new', () => {
  it('a whole history that is sent again appends what follows it, and nothing else', () => {
    fc.assert(
      fc.property(turns(12), turns(4), (before, fresh) => {
        const sent = [...before.map((message) => ({ ...message })), ...fresh, user('and now?')]
        expect(newMessagesOf(known(...before), sent)).toEqual([...fresh, user('and now?')])
      }),
    )
  })

  it('the last part of a history appends what follows it, where its texts are told apart', () => {
    const distinct = fc.uniqueArray(
      fc.string({ minLength: 1 }).filter((text) => text.trim() === text),
      { maxLength: 12 },
    )
    fc.assert(
      fc.property(distinct, fc.nat(12), (texts, from) => {
        const before = texts.map((text, index) => (index % 2 === 0 ? user(`q ${text}`) : assistant(`a ${text}`)))
        const sent = [...before.slice(from), user('the newest')]
        expect(newMessagesOf(known(...before), sent)).toEqual([user('the newest')])
      }),
    )
  })

  it('whatever is sent, the new messages are the last of it, in order', () => {
    fc.assert(
      fc.property(turns(10), turns(10), (before, sent) => {
        const fresh = newMessagesOf(known(...before), sent)
        expect(fresh).toEqual(fresh.length === 0 ? [] : sent.slice(-fresh.length))
      }),
    )
  })

  it('whatever is sent, a question at its end is then in the session, unanswered', () => {
    fc.assert(
      fc.property(turns(10), turns(10), (before, earlier) => {
        const sent = [...earlier, user('a')]
        const after = [...before, ...newMessagesOf(known(...before), sent)]
        const place = after.findLastIndex(({ role, content }) => role === 'user' && content === 'a')
        expect(place).toBeGreaterThanOrEqual(0)
        expect(after.slice(place + 1).some(({ role }) => role === 'assistant')).toBe(false)
      }),
    )
  })

  it('the same request again, as a retry of a run that failed, appends nothing', () => {
    fc.assert(
      fc.property(turns(10), turns(4), (before, fresh) => {
        const sent = [...before, ...fresh, user('and now?')]
        const after = [...before, ...newMessagesOf(known(...before), sent)]
        expect(
          newMessagesOf(
            known(...after),
            sent.map((message) => ({ ...message })),
          ),
        ).toEqual([])
      }),
    )
  })

  it.each([
    ['a latest message alone', [user('a'), assistant('b')], [user('c')], ['c']],
    ['a question that was answered and is asked again alone', [user('a'), assistant('b')], [user('a')], ['a']],
    [
      'an answered history that is sent again, for another answer',
      [user('x'), assistant('y'), user('a'), assistant('b')],
      [user('x'), assistant('y'), user('a')],
      ['a'],
    ],
    [
      'an edited last question',
      [user('a'), assistant('b'), user('c'), assistant('d')],
      [user('a'), assistant('b'), user('C')],
      ['C'],
    ],
    [
      'what follows an edited question',
      [user('a'), assistant('b'), user('c'), assistant('d'), user('C'), assistant('D')],
      [user('a'), assistant('b'), user('C'), assistant('D'), user('e')],
      ['e'],
    ],
    [
      'what follows a history whose first turn was edited',
      [user('a'), assistant('b')],
      [user('A'), assistant('b'), user('c')],
      ['c'],
    ],
    [
      'what follows a turn that the client does not know of',
      [user('a'), assistant('b'), user('by REST')],
      [user('a'), assistant('b'), user('c')],
      ['c'],
    ],
    [
      'the same text as long ago',
      [user('yes'), assistant('b'), user('c'), assistant('d')],
      [user('c'), assistant('d'), user('yes')],
      ['yes'],
    ],
  ])('%s is new', (_name, before, sent, fresh) => {
    expect(textsOf(newMessagesOf(known(...before), sent))).toEqual(fresh)
  })

  it('a system message is appended once, and a changed one beside it', () => {
    const before = known(system('Be kind.'), user('a'), assistant('b'))
    expect(newMessagesOf(before, [system('Be kind.'), user('a'), assistant('b'), user('c')])).toEqual([user('c')])
    const changed = [system('Be brief.'), user('a'), assistant('b'), system('Be brief.'), user('c')]
    expect(newMessagesOf(before, changed)).toEqual([system('Be brief.'), user('c')])
  })

  it('an answer is recognised by its end and whatever blanks surround it; one of no text is left out', () => {
    const before = known(user('a'), assistant('The answer.'))
    expect(newMessagesOf(before, [user('a'), assistant('Let me see.\n\nThe answer. '), user('c')])).toEqual([user('c')])
    expect(newMessagesOf(known(user('a')), [user('a'), assistant(''), user('c')])).toEqual([user('c')])
  })

  it('calls and results are recognised by their ids, and the memory tools are not looked at', () => {
    const mixed = {
      ...calling('c1'),
      toolCalls: [...(calling('m1', 'Add_memory').toolCalls ?? []), ...(calling('c1').toolCalls ?? [])],
    }
    const stored = [user('a'), calling('m0', 'Retrieve_memory'), result('m0'), mixed, result('m1')]
    const seen = seenByClient(known(...stored).map((message) => ({ ...message, kind: 'appended' as const })))
    expect(seen.map(({ role }) => role)).toEqual(['user', 'assistant'])
    expect(newMessagesOf(seen, [user('a'), calling('c1'), result('c1')])).toEqual([result('c1')])
  })

  it('summaries and recalls are not what the client has seen', () => {
    const [one] = known(user('a'))
    expect(
      one &&
        seenByClient([
          { ...one, kind: 'summary' },
          { ...one, kind: 'recall' },
        ]),
    ).toEqual([])
  })
})
