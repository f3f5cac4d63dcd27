/**
 * Cuts a text into pieces that can stand alone in a summary. Fenced code is one piece while it is short and is dropped
 * when it is long; list items and headings stand by themselves; the rest is cut into sentences at a full stop, question
 * or exclamation mark (CJK ones too), but not after abbreviations, initials or before a lower-case letter. One pass over
 * the text, pieces in the order of the text.
 */
import { cutText } from '../../shared/cut-text.ts'
import { atOnce, type Steps } from '../../shared/yielding.ts'

const pieceCharsMax = 320
const codeCharsMax = 240

const abbreviations = new Set(
  'mr mrs ms dr prof sr jr st no vs etc e.g i.e cf approx dept est fig inc ltd co corp jan feb mar apr jun jul aug sep sept oct nov dec a.m p.m u.s al'.split(
    ' ',
  ),
)

const clip = (text: string): string => {
  if (text.length <= pieceCharsMax) return text
  const cut = cutText(text, pieceCharsMax)
  const lastSpace = cut.lastIndexOf(' ')
  return `${lastSpace > pieceCharsMax / 2 ? cut.slice(0, lastSpace) : cut}…`
}

const endsWithAbbreviation = (text: string): boolean => {
  const lastWord = /[\p{L}.]+$/u.exec(text.slice(-12))?.[0] ?? ''
  return /^\p{Lu}$/u.test(lastWord) || abbreviations.has(lastWord.toLowerCase())
}

/** The pattern has no look-ahead, so that a long run of dots is read once. */
function* sentencesOf(paragraph: string): Generator<string> {
  let start = 0
  for (const match of paragraph.matchAll(/[.!?…。！？]+["'”’)\]』」）]*/gu)) {
    const end = match.index + match[0].length
    const follows = paragraph.slice(end, end + 4)
    const isWide = /^[。！？]/u.test(match[0])
    const isWeakStop =
      match[0] === '.' && (/^\s+\p{Ll}/u.test(follows) || endsWithAbbreviation(paragraph.slice(start, match.index)))
    if (isWeakStop || !(isWide || follows === '' || /^\s/.test(follows))) continue
    yield paragraph.slice(start, end)
    start = end
  }
  yield paragraph.slice(start)
}

const standsAlone = /^(?:[-*+•]|\d{1,3}[.)]|#{1,6}|>|\|)\s/

/** Joins wrapped lines into paragraphs; list items, headings and what follows a blank line start a new one. */
const paragraphsOf = (text: string): readonly string[] => {
  const paragraphs: string[] = []
  let open = false
  for (const rawLine of text.split('\n')) {
    const line = rawLine.trim()
    const isItem = standsAlone.test(line)
    const last = paragraphs.length - 1
    if (line !== '' && open && !isItem) paragraphs[last] = `${paragraphs[last]} ${line}`
    else if (line !== '') paragraphs.push(line)
    open = line !== ''
  }
  return paragraphs
}

/** Text between two ``` fences is code: every second part. */
function* proseAndCodePieces(text: string): Generator<string> {
  for (const [index, part] of text.split('```').entries()) {
    if (index % 2 === 0) for (const paragraph of paragraphsOf(part)) yield* sentencesOf(paragraph)
    else if (part.length <= codeCharsMax) yield `\`\`\`${part}\`\`\``
  }
}

/** Pieces of a text, each of 320 characters at most, none blank; a step for each. */
export function* sentenceSteps(text: string): Steps<string[]> {
  const pieces: string[] = []
  for (const cut of proseAndCodePieces(text.trim())) {
    const piece = clip(cut.trim())
    if (/[\p{L}\p{N}]/u.test(piece)) pieces.push(piece)
    yield
  }
  return pieces
}

/** `sentenceSteps` at once. */
export const splitSentences = (text: string): readonly string[] => atOnce(sentenceSteps(text))
