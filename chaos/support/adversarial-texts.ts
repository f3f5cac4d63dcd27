/** Texts within the limits that are hard on whatever reads them: each a kind of work that may grow faster than the text. */
export type HardText = { readonly what: string; make(characters: number): string }

const repeat = (piece: string) => (characters: number) =>
  piece.repeat(Math.ceil(characters / piece.length)).slice(0, characters)

/** Pieces by their number, as many as fit. */
const series = (piece: (at: number) => string) => (characters: number) => {
  const pieces: string[] = []
  for (let [at, length] = [0, 0]; length < characters; at += 1) {
    const next = piece(at)
    pieces.push(next)
    length += next.length
  }
  return pieces.join('').slice(0, characters)
}

const nested = (open: string, close: string) => (characters: number) => {
  const depth = Math.floor(characters / (open.length + close.length))
  return open.repeat(depth) + close.repeat(depth)
}

const letters = (at: number): string => at.toString(36).replaceAll(/\d/g, (digit) => 'abcdefghij'[Number(digit)] ?? '')

export const hardTexts: readonly HardText[] = [
  {
    what: 'combining marks of two classes, out of order',
    make: (size) => `a${'\u0345'.repeat((size - 1) / 2)}${'\u0334'.repeat((size - 1) / 2)}`,
  },
  { what: 'marks on every letter', make: repeat('a\u0301\u0323\u0334\u0345') },
  { what: 'precomposed letters that come apart', make: repeat('\u1fbf\ufb2c\u0390\u1e9b\u0323') },
  { what: 'ligatures that grow when they are normalised', make: repeat('\ufdfa') },
  { what: 'Hangul jamo', make: repeat('\u1100\u1161\u11a8') },
  { what: 'numbers', make: series((at) => `${at} `) },
  { what: 'numbers with points and commas', make: series((at) => `${at},${at}.${at}% `) },
  { what: 'one number', make: repeat('9') },
  { what: 'dates', make: series((at) => `20${10 + (at % 80)}-0${1 + (at % 9)}-1${at % 9}T10:00 `) },
  { what: 'open brackets', make: repeat('[') },
  { what: 'nested brackets', make: nested('[', ']') },
  { what: 'nested objects', make: nested('{"a":', '}') },
  { what: 'nested parentheses in prose', make: nested('so (', ')') },
  { what: 'open quotes', make: repeat('"\\') },
  { what: 'backslashes', make: repeat('\\') },
  { what: 'unfinished tool calls', make: repeat('<tool_call>') },
  {
    what: 'unfinished tool calls with broken JSON',
    make: repeat('<tool_call>{"name":"Add_memory","arguments":{"content":"'),
  },
  { what: 'closing tags alone', make: repeat('</think></tool_call></answer>') },
  { what: 'angle brackets', make: repeat('<') },
  { what: 'code fences', make: repeat('```\n') },
  { what: 'unique words', make: series((at) => `${letters(at * 7_919)}x `) },
  { what: 'one word without end', make: repeat('a') },
  { what: 'capitals', make: series((at) => `Anna${letters(at)} Berg. `) },
  { what: 'short sentences', make: series((at) => `Is it ${letters(at)}? `) },
  { what: 'full stops', make: repeat('.') },
  { what: 'abbreviations', make: repeat('e.g. Dr. A. B. ') },
  { what: 'white space', make: (size) => `a${' '.repeat(size - 2)}b` },
  { what: 'line ends', make: repeat('\r\n-') },
  { what: 'white space of many kinds', make: repeat('\u00a0\u2003\u3000\t\v') },
  { what: 'CJK', make: series((at) => String.fromCodePoint(0x4e00 + ((at * 7_919) % 20_000))) },
  { what: 'Thai, which has no spaces', make: repeat('\u0e01\u0e33\u0e19\u0e49\u0e33') },
  { what: 'emoji joined to one', make: repeat('\u{1f468}\u200d\u{1f469}\u200d') },
  { what: 'flags', make: repeat('\u{1f1e9}\u{1f1ea}') },
  { what: 'signs of another plane', make: series((at) => String.fromCodePoint(0x1d400 + (at % 900))) },
  { what: 'zero width', make: repeat('\u200b\u200d\ufeff') },
  { what: 'right to left', make: repeat('\u202e\u05d0\u0627') },
  { what: 'dotted capital I', make: repeat('\u0130') },
  { what: 'sharp s and final sigma', make: repeat('\u00df\u03c3\u03c2') },
  { what: 'addresses', make: series((at) => `https://a.b/${letters(at)}?x=${at} `) },
  { what: 'mail addresses', make: repeat('a.b-c_d@') },
  { what: 'hyphens', make: repeat('a-') },
  { what: 'apostrophes', make: repeat("a'") },
  { what: 'list items', make: series((at) => `${at}. - * `) },
  { what: 'a table', make: repeat('| a | b |\n') },
]
