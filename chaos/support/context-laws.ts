/**
 * The laws of a context, checked on what the API itself reports when nothing is under way. It knows nothing of how the
 * service keeps a context: messages with their state, the context as it is rendered, and the edits are all it sees.
 */
import type { Finding } from '../scenario.ts'
import type { Ledger } from './clients-of-one-session.ts'
import { at, type Fields, listAt, textAt } from './door.ts'
import { someOf } from './tally.ts'

export type Reported = {
  /** Every message ever, in the order of the list. */
  readonly messages: readonly Fields[]
  readonly context: Fields
  readonly edits: readonly Fields[]
  /** Every memory of the agent. */
  readonly memories: readonly Fields[]
}

const idOf = (message: Fields) => textAt(message, 'message_id')
const doubles = (items: readonly string[]): readonly string[] => [
  ...new Set(items.filter((item, place) => items.indexOf(item) !== place)),
]

const law = (guarantee: string, text: string, broken: readonly string[]): readonly Finding[] =>
  broken.length === 0 ? [] : [{ guarantee, what: `${text}: ${broken.length}, ${someOf(broken)}` }]

const isIn = (message: Fields) => message.state === 'in_context'
const isAppended = (message: Fields) => message.kind === 'appended'

const checkKept = ({ messages }: Reported): readonly Finding[] =>
  law(
    'C1',
    'system or pinned messages out of the context',
    messages
      .filter((one) => !isIn(one) && (one.pinned === true || (one.role === 'system' && isAppended(one))))
      .map(idOf),
  )

const checkPairs = ({ context }: Reported): readonly Finding[] => {
  const rendered = listAt(context, 'messages')
  const called = new Set<string>()
  const orphans: string[] = []
  for (const message of rendered) {
    for (const call of listAt(message, 'tool_calls')) called.add(textAt(call, 'id'))
    const id = textAt(message, 'tool_call_id')
    if (message.role === 'tool' && !called.has(id)) orphans.push(`result of ${id}`)
  }
  const answered = new Set(rendered.map((message) => textAt(message, 'tool_call_id')))
  const open = [...called].filter((id) => !answered.has(id))
  return law('C2', 'a call without its result or the other way round', [...orphans, ...open])
}

/** Contents are unique, so a message can be found in what is rendered. */
const checkOrder = ({ messages, context }: Reported): readonly Finding[] => {
  const placeOf = new Map(messages.map((message, place) => [textAt(message, 'content'), place]))
  const kinds = new Map(messages.map((message) => [textAt(message, 'content'), message.kind]))
  const places = listAt(context, 'messages')
    .filter((message) => message.role !== 'tool')
    .map((message) => textAt(message, 'content'))
    .filter((content) => kinds.get(content) === 'appended' && content !== '')
    .map((content) => placeOf.get(content) ?? -1)
  const swapped = places.filter((place, at) => at > 0 && place < (places[at - 1] ?? 0))
  return law('C3', 'appended messages out of their order', swapped.map(String))
}

const checkTokens = ({ messages, context }: Reported): readonly Finding[] => {
  const sum = messages.filter(isIn).reduce((total, { tokens }) => total + Number(tokens), 0)
  return law('C4', 'tokens are not the sum', sum === context.tokens ? [] : [`${context.tokens} told, ${sum} summed`])
}

const checkVersions = ({ context, edits }: Reported, ledger: Ledger): readonly Finding[] => {
  const versions = [...ledger.appendVersions, ...edits.map((edit) => Number(edit.context_version))]
  const above = versions.filter((version) => version > Number(context.version))
  return [
    ...law('C8', 'versions that two changes share', doubles(versions.map(String))),
    ...law('C4', 'versions above the present one', above.map(String)),
    ...law('C8', 'two updates with If-Match made one version of a memory', doubles(ledger.updates)),
  ]
}

const checkLineage = ({ messages, edits }: Reported): readonly Finding[] => {
  const editIds = new Set(edits.map((edit) => textAt(edit, 'edit_id')))
  const messageIds = new Set(messages.map(idOf))
  const unknown = messages.filter((one) => one.edit_id !== undefined && !editIds.has(textAt(one, 'edit_id')))
  const unexplained = messages.filter((one) => !isIn(one) && one.edit_id === undefined)
  const strangers = edits.flatMap((edit) =>
    ((at(edit, 'message_ids') ?? []) as readonly string[]).filter((id) => !messageIds.has(id)),
  )
  return [
    ...law('C5', 'messages taken out by an edit that is not listed', unknown.map(idOf)),
    ...law('C5', 'messages out of the context with no edit that says why', unexplained.map(idOf)),
    ...law('C5', 'edits of messages that are not listed', strangers),
  ]
}

const checkAcknowledged = ({ messages, memories }: Reported, ledger: Ledger): readonly Finding[] => {
  const contentOf = new Map(messages.map((message) => [idOf(message), textAt(message, 'content')]))
  const lost = [...ledger.appended].filter(([id, content]) => contentOf.get(id) !== content).map(([id]) => id)
  const held = new Set(memories.map((memory) => textAt(memory, 'memory_id')))
  const gone = [...ledger.added.keys()].filter((id) => !held.has(id) && !ledger.deleting.has(id))
  return [
    ...law('C5', 'acknowledged messages that are not there as they were sent', lost),
    ...law('C5', 'messages that are there twice', doubles(messages.map(idOf))),
    ...law('M1', 'acknowledged memories that are not there', gone),
    ...law('M1', 'memories that are there twice', doubles(memories.map((memory) => textAt(memory, 'content')))),
  ]
}

export const checkLaws = (reported: Reported, ledger: Ledger): readonly Finding[] => [
  ...checkKept(reported),
  ...checkPairs(reported),
  ...checkOrder(reported),
  ...checkTokens(reported),
  ...checkVersions(reported, ledger),
  ...checkLineage(reported),
  ...checkAcknowledged(reported, ledger),
]
