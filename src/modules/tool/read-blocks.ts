/** Cuts a model's text into its blocks; parse-output.ts says by which rules. */
import type { Steps } from '../../shared/yielding.ts'
import { readLooseJson } from './repair-json.ts'
import type { ViolationCode, Violations } from './violations.ts'

export type Block =
  | { readonly kind: 'think' | 'answer'; readonly text: string }
  | {
      readonly kind: 'tool_call'
      /** What stood in its array, or its single objects. */
      readonly entries: readonly unknown[]
      /** There was something in it, but no JSON that could be read whole. */
      readonly isMalformed: boolean
    }

type Tag = { readonly kind: Block['kind']; readonly isClosing: boolean; readonly start: number; readonly end: number }

/** A block, and the index of the tag and the position in the text after it. */
type Cut = { readonly block: Block; readonly nextTag: number; readonly end: number }

/** How often, in one text, a tag may be taken for a part of a string: bounds the reading again. */
const tagsInStringsMax = 16

const tagPattern = /<(\/?)(think|tool_calls?|answer)>/gi
/** Where JSON for a call begins, as against a bracket in prose. */
const jsonStart = /\[\s*[{\]]|\{\s*["'}]/g

const tagsOf = (text: string): readonly Tag[] =>
  Array.from(text.matchAll(tagPattern), ({ 0: tag, 1: slash, 2: name = '', index }) => ({
    kind: name.toLowerCase().replace('calls', 'call') as Block['kind'],
    isClosing: slash !== '',
    start: index,
    end: index + tag.length,
  }))

const isBlank = (text: string): boolean => text.trim() === ''

type Entries =
  | { readonly ok: true; readonly entries: readonly unknown[]; readonly notes: ReadonlySet<ViolationCode> }
  | { readonly ok: false; readonly reason: 'open_string' | 'syntax' }

/** All the JSON of a tool_call block, or none of it. */
function* readEntries(body: string): Steps<Entries> {
  const entries: unknown[] = []
  const notes = new Set<ViolationCode>()
  let at = 0
  for (;;) {
    jsonStart.lastIndex = at
    const start = jsonStart.exec(body)?.index ?? body.length
    if (!isBlank(body.slice(at, start).replaceAll(',', ''))) notes.add('text_around_json')
    if (start === body.length) break
    const read = readLooseJson(body, start)
    yield
    if (!read.ok) return read
    for (const note of read.notes) notes.add(note)
    if (!Array.isArray(read.value)) notes.add('call_not_in_array')
    for (const entry of [read.value].flat()) entries.push(entry)
    at = read.end
  }
  // A bracket that begins no JSON is a call gone wrong; without one, the tag is only spoken of.
  if (at === 0 && /[[{]/.test(body)) return { ok: false, reason: 'syntax' }
  return { ok: true, entries, notes }
}

type Source = {
  readonly text: string
  readonly tags: readonly Tag[]
  readonly violations: Violations
  tagsInStringsLeft: number
}

const opensAt = ({ tags }: Source, index: number, kind: Block['kind']): boolean =>
  tags[index]?.kind === kind && !tags[index].isClosing

const closesAt = ({ tags }: Source, index: number, kind: Block['kind']): boolean =>
  tags[index]?.kind === kind && tags[index].isClosing

function* cutCalls(source: Source, open: number): Steps<Cut> {
  const { text, tags, violations } = source
  const start = tags[open]?.end ?? text.length
  const cutAt = (stop: number, entries: readonly unknown[] | null): Cut => {
    const isClosed = closesAt(source, stop, 'tool_call')
    if (!isClosed) violations.note('unclosed_block')
    return {
      block: { kind: 'tool_call', entries: entries ?? [], isMalformed: entries === null },
      nextTag: isClosed ? stop + 1 : stop,
      end: (isClosed ? tags[stop]?.end : tags[stop]?.start) ?? text.length,
    }
  }
  for (let stop = open + 1; stop <= tags.length; stop += 1) {
    const read = yield* readEntries(text.slice(start, tags[stop]?.start))
    if (read.ok) {
      for (const code of read.notes) violations.note(code)
      if (read.entries.length === 0) violations.note('empty_tool_call')
      return cutAt(stop, read.entries)
    }
    if (read.reason !== 'open_string' || source.tagsInStringsLeft === 0) break
    source.tagsInStringsLeft -= 1
  }
  violations.note('malformed_json')
  return cutAt(open + 1, null)
}

/** The first tag of the run of blocks, with only white space between them, that ends the text; `tags.length` if none. */
function* closingRun(source: Source, after: number): Steps<number> {
  const { text, tags } = source
  let run = tags.length
  const last = tags.at(-1)
  if (last?.kind === 'tool_call' && !last.isClosing) {
    const read = yield* readEntries(text.slice(last.end))
    if (read.ok && read.entries.length > 0) run = tags.length - 1
  }
  while (run - 1 > after) {
    const close = tags[run - 1]
    if (close === undefined || !close.isClosing || close.kind === 'think') break
    if (!isBlank(text.slice(close.end, tags[run]?.start))) break
    let open = run - 2
    while (open > after && !opensAt(source, open, close.kind)) open -= 1
    if (open <= after) break
    run = open
  }
  return run > after ? run : tags.length
}

function* cutText(source: Source, open: number, kind: 'think' | 'answer'): Steps<Cut> {
  const { text, tags, violations } = source
  const start = tags[open]?.end ?? text.length
  let close = open + 1
  while (close < tags.length && !closesAt(source, close, kind)) close += 1
  if (close < tags.length) {
    const block = { kind, text: text.slice(start, tags[close]?.start) }
    return { block, nextTag: close + 1, end: tags[close]?.end ?? text.length }
  }
  violations.note('unclosed_block')
  const nextTag = yield* closingRun(source, open)
  const end = tags[nextTag]?.start ?? text.length
  return { block: { kind, text: text.slice(start, end) }, nextTag, end }
}

/** All text before a `</think>` that no `<think>` precedes, unless the tag is text inside another block. */
const cutUnopenedThink = (source: Source): Cut | null => {
  const { text, tags } = source
  const close = tags.findIndex((tag) => tag.kind === 'think')
  const tag = tags[close]
  if (tag === undefined || !tag.isClosing) return null
  const around = tags[close - 1]
  if (around !== undefined && !around.isClosing && closesAt(source, close + 1, around.kind)) return null
  return { block: { kind: 'think', text: text.slice(0, tag.start) }, nextTag: close + 1, end: tag.end }
}

/** The blocks in order, a step for each. Never throws. */
export function* readBlocks(text: string, violations: Violations): Steps<readonly Block[]> {
  const source = { text, tags: tagsOf(text), violations, tagsInStringsLeft: tagsInStringsMax }
  const unopened = cutUnopenedThink(source)
  if (unopened !== null) violations.note('unopened_think')
  const blocks: Block[] = unopened === null ? [] : [unopened.block]
  let { nextTag: index, end: at } = unopened ?? { nextTag: 0, end: 0 }
  for (;;) {
    yield
    const tag = source.tags[index]
    if (!isBlank(text.slice(at, tag?.start))) violations.note('text_outside_blocks')
    if (tag === undefined) return blocks
    if (tag.isClosing) {
      violations.note('stray_tag')
      index += 1
      at = tag.end
      continue
    }
    const cut = yield* tag.kind === 'tool_call' ? cutCalls(source, index) : cutText(source, index, tag.kind)
    blocks.push(cut.block)
    index = cut.nextTag
    at = cut.end
  }
}
