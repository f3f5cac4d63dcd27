/**
 * Texts that are hard on whoever reads them: what makes normalisation, backtracking, sets and splitting slow. Each kind is
 * made to a length, so that a test can hold twice as much against half of it.
 */

/** A text of exactly this many characters (code points). */
type Make = (characters: number) => string

const repeated =
  (unit: string): Make =>
  (characters) =>
    cutTo(unit.repeat(Math.ceil(Math.max(0, characters) / [...unit].length)), characters)

/** By code points, without an array of them all where there is no surrogate. */
const cutTo = (text: string, characters: number): string =>
  /[\uD800-\uDFFF]/.test(text) ? [...text].slice(0, characters).join('') : text.slice(0, characters)

const counted =
  (unitOf: (index: number) => string): Make =>
  (characters) => {
    const parts: string[] = []
    for (let size = 0, index = 0; size < characters; index += 1) {
      const unit = unitOf(index)
      parts.push(unit)
      size += unit.length
    }
    return cutTo(parts.join(''), characters)
  }

const led =
  (lead: string, unit: string, tail = ''): Make =>
  (characters) =>
    cutTo(lead + repeated(unit)(Math.max(0, characters - lead.length - tail.length)), characters - tail.length) + tail

const halves =
  (lead: string, first: string, second: string): Make =>
  (characters) => {
    const half = Math.max(0, Math.floor((characters - lead.length) / 2))
    return lead + repeated(first)(half) + repeated(second)(half)
  }

/** Nested JSON that closes: as deep as it fits. */
const nested =
  (open: string, inner: string, close: string): Make =>
  (characters) => {
    const depth = Math.max(0, Math.floor((characters - inner.length) / (open.length + close.length)))
    return open.repeat(depth) + inner + close.repeat(depth)
  }

const letters = 'abcdefghijklmnopqrstuvwxyz'

/** A word of its own for each number, of letters alone. */
const wordOf = (index: number): string => {
  let word = ''
  for (let rest = index; rest >= 0; rest = Math.floor(rest / 26) - 1) word += letters[rest % 26]
  return word
}

const nameOf = (index: number): string => {
  const word = `q${wordOf(index)}`
  return word.charAt(0).toUpperCase() + word.slice(1)
}

/** From a fixed seed. */
const noise = (alphabet: string): Make =>
  counted((index) => {
    const hash = Math.imul(index ^ 0x9e3779b9, 0x85ebca6b) >>> 3
    return alphabet.charAt(hash % alphabet.length)
  })

const han = (index: number): string => String.fromCodePoint(0x4e00 + ((index * 7919) % 20_000))
const base64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

const makers: Readonly<Record<string, Make>> = {
  'marks of one kind': led('a', '\u0345'),
  'marks of two classes out of order': halves('a', '\u0345', '\u0334'),
  'marks that alternate': led('a', '\u0345\u0334'),
  'marks on each letter': repeated('a\u0345\u0334\u0301\u0323'),
  'marks of 31 and a letter': repeated(`a${'\u0301'.repeat(31)}`),
  'marks above the plane': led('x', '\u{1d165}\u{1d16d}'),
  'marks that decompose': led('a', '\u0344\u0f73\u0f75'),
  'composed letters that decompose': repeated('\u1f82\u1e69\u01d5'),
  'letters with two marks to sort': repeated('a\u0301\u0323'),
  'marks of no letter': repeated('\u0301'),
  'enclosing marks': led('1', '\u20dd'),
  'Hebrew points': repeated('\u05d1\u05b0\u05bc\u05c1'),
  'Hangul jamo': repeated('\u1112\u1161\u11ab'),
  'one letter': repeated('a'),
  'one capital': repeated('A'),
  'one letter and a mark': led('', 'a', '!'),
  'one digit': repeated('7'),
  blanks: repeated(' '),
  'blanks between letters': led('a', ' ', 'b'),
  'line breaks': repeated('\n'),
  'no-break spaces': led('a', '\u00a0', 'b'),
  'zero-width spaces': led('a', '\u200b'),
  'soft hyphens': repeated('in\u00ad'),
  'short words': repeated('ab '),
  'one letter a word': repeated('a '),
  'one digit a word': repeated('1 '),
  'numbers, all different': counted((index) => `${index} `),
  'numbers of one length': counted((index) => `${100_000 + index} `),
  'words, all different': counted((index) => `q${wordOf(index)} `),
  'long words, all different': counted((index) => `${wordOf(index)}ationalizations `),
  'words of 60 letters': counted((index) => `${wordOf(index).padEnd(60, 'ingly')} `),
  'words of all suffixes': repeated('relationalizationfulnessousliness '),
  vowels: repeated('y'),
  'y and e': repeated('ye'),
  'names, all different': counted((index) => `${nameOf(index)} `),
  'names in pairs': counted((index) => `${nameOf(index)} ${nameOf(index + 1)}. `),
  'capitals, all different': counted((index) => `${wordOf(index).toUpperCase()}Q `),
  'addresses of mail': counted((index) => `u${index}@e${index}.io `),
  'addresses of the web': counted((index) => `https://e.io/${index}?q=${index}#f `),
  'one address without end': led('https://e.io/', 'a/'),
  'sentences, all different': counted((index) => `Nr ${index} is it. `),
  'sentences of one letter': repeated('A. '),
  'sentences of one word each': counted((index) => `Q${wordOf(index)}! `),
  'sentences of one repeated fact': repeated('Ana pays 42 euros. '),
  'full stops': repeated('.'),
  'full stops and blanks': repeated('. '),
  'full stops and letters': repeated('.a'),
  'wide full stops': repeated('\u3002'),
  ellipses: repeated('a\u2026 '),
  'full stops and quotes': led('a.', '"'),
  abbreviations: repeated('e.g. '),
  initials: repeated('A.B.'),
  commas: repeated(','),
  'commas between letters': repeated('a,'),
  'criteria, all different': counted((index) => `q${wordOf(index)},`),
  semicolons: repeated('a;'),
  'groups of digits': repeated('1,111,'),
  'one grouped number': led('1', ',111'),
  apostrophes: repeated("'"),
  'apostrophes after n': repeated("n't"),
  'clitics in a row': repeated("'s"),
  'clitics of curled quotes': repeated('\u2019ve'),
  'hyphened words': repeated('a-'),
  'open brackets': repeated('['),
  'open braces': repeated('{'),
  'brackets and braces open': repeated('[{'),
  'open members': repeated('{"a":'),
  'calls that open': repeated('[{"name":"'),
  'brackets that close': nested('[', '', ']'),
  'objects that close': nested('{"a":', '1', '}'),
  'round brackets': repeated('('),
  'quotes unclosed': led('{"a":"', 'b'),
  quotes: repeated('"'),
  'single quotes and colons': repeated("'a':"),
  'fields in quotes': repeated("'a':'b' "),
  'fields that never close': repeated("'a':'"),
  backslashes: repeated('\\'),
  'backslashes in JSON': led('{"a":"', '\\'),
  'escaped quotes': led('{"a":"', '\\"'),
  'escapes of unicode': led('{"a":"', '\\u0041'),
  'JSON without its end': led('{"a":[', '{"b":1},'),
  'JSON lines': counted((index) => `{"id":${index},"a":"b"}\n`),
  'JSON lines of a bad kind': repeated('{"a":1,}\n'),
  'JSON of one long array': (characters) => `[${repeated('1,')(characters - 3 - (characters % 2 === 0 ? 1 : 0))}1]`,
  'JSON almost right': led('{"a":[', '1,', '1]'),
  'JSON of many keys': (characters) =>
    `{${counted((index) => `"k${index}":${index},`)(Math.max(2, characters - 10)).replace(/,[^,]*$/, '')}}`,
  'a number without end': led('{"a":', '1'),
  'a number of zeros': led('{"a":1e', '0'),
  'minus signs': led('{"a":', '-'),
  'thoughts opened': repeated('<think>'),
  'thoughts closed': repeated('</think>'),
  'thoughts opened and closed': repeated('<think></think>'),
  'thoughts nested': nested('<think>', 'x', '</think>'),
  'calls opened': repeated('<tool_call>'),
  'calls closed': repeated('</tool_call>'),
  'calls with JSON': repeated('<tool_call>[{"name":"Summary_context","arguments":{"span":"all"}}]</tool_call>'),
  'calls of broken JSON': repeated('<tool_call>[{"a":"'),
  'calls of open strings': led('<tool_call>[{"a":"', '</tool_call>'),
  'calls, all different': counted(
    (index) => `<tool_call>{"name":"Add_memory","arguments":{"content":"${index}"}}</tool_call>`,
  ),
  'answers opened': repeated('<answer>'),
  'answers closed': repeated('</answer>'),
  'answers after a thought': led('<think>', '<answer>a</answer>'),
  'a thought, then answers that close': led('<think>', '</answer>'),
  'answers opened, then closed': halves('<think>', '<answer>', '</answer>'),
  'calls opened, then closed': halves('<think>', '<tool_call>', '</tool_call>'),
  'less-than signs': repeated('<'),
  'tags that begin': repeated('<think'),
  'tags of HTML': repeated('<b></b>'),
  'ids of memories': counted((index) => `mem_${index.toString(16).padStart(32, '0')} `),
  'ids that almost are': repeated('mem_0123456789abcdef '),
  'hex without end': led('a', '0f'),
  'data urls': led('data:', 'a'),
  'words of machines': repeated('a_b-c/d+e='),
  'keys in camel case': led('{"', 'aB', '":1}'),
  'Chinese of one character': repeated('\u4e2d'),
  'Chinese without blanks': counted(han),
  'Chinese with stops': counted((index) => (index % 9 === 8 ? '\u3002' : han(index))),
  'Chinese and Latin in turn': repeated('\u4e2da'),
  'Japanese without blanks': repeated('\u3053\u308c\u306f\u30da\u30f3'),
  'Korean without blanks': counted((index) => String.fromCodePoint(0xac00 + ((index * 7919) % 11_000))),
  'Thai without blanks': repeated('\u0e01\u0e33\u0e25\u0e31\u0e07'),
  'Khmer with marks': repeated('\u1780\u17d2\u179a\u17b6'),
  'Arabic with marks': repeated('\u0645\u064f\u062d\u064e\u0645\u0651\u064e\u062f '),
  'Arabic of right to left marks': repeated('\u202e\u0627'),
  'Devanagari with marks': repeated('\u0915\u094d\u0937\u093f'),
  'Greek with final sigma': repeated('\u03c3\u03c2'),
  'Cyrillic with marks': repeated('\u0435\u0308'),
  'German sharp s': repeated('\u00df'),
  'capital I with dot': repeated('\u0130'),
  'ligatures that grow eighteenfold': repeated('\ufdfa'),
  'ligatures and marks': repeated('\ufdfa\u0345\u0334'),
  'ligatures of Latin': repeated('\ufb03'),
  'fractions and circled digits': repeated('\u00bd\u2460'),
  'squared words': repeated('\u3300'),
  'wide letters': repeated('\uff21'),
  'mathematical letters': repeated('\u{1d400}'),
  emoji: repeated('\u{1f600}'),
  'emoji in families': repeated('\u{1f468}\u200d\u{1f469}\u200d\u{1f467}'),
  'joiners alone': repeated('\u200d'),
  flags: repeated('\u{1f1e9}\u{1f1ea}'),
  'characters of the last plane': repeated('\u{10fffd}'),
  'rare ideographs': counted((index) => String.fromCodePoint(0x20000 + ((index * 7919) % 40_000))),
  'variation selectors': led('a', '\ufe0f'),
  'replacement characters': repeated('\ufffd'),
  'tables of Markdown': repeated('| a | b |\n|---|---|\n'),
  'items of lists': repeated('- a\n'),
  'numbered items': counted((index) => `${index % 1_000}. a\n`),
  headings: repeated('# a\n'),
  'fences of code': repeated('```'),
  'fences with code': repeated('```js\na()\n```\n'),
  backticks: repeated('`'),
  base64: noise(base64),
  'letters at random': noise(letters),
  'minified JavaScript': counted((index) => `var ${wordOf(index)}=function(n,t){return n[${index}]&&t||{}};`),
  'a trace of a stack': counted((index) => `    at Object.f${index} (/app/src/file${index}.ts:${index}:13)\n`),
  'lines of a log': counted((index) => `2026-11-28T20:34:${index % 60}Z INFO [worker-${index}] done in ${index} ms\n`),
  'a line with a mark at its end': led('', 'a', '?'),
  'questions with notes': repeated('a? [b] '),
  'question and blanks': led('a?', ' ', 'x'),
  'question and quotes': led('a?', '"', 'x'),
  'question and an open note': led('a?[', 'b'),
  'words that decide': repeated('we will decide '),
  'decides without end': led('decid', 'e'),
  'plans and plans': repeated('planned '),
}

export type AdversarialText = { readonly kind: string; readonly make: Make }

export const adversarialTexts: readonly AdversarialText[] = Object.entries(makers).map(([kind, make]) => ({
  kind,
  make,
}))
