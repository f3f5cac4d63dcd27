/**
 * Which rows have a term, and with what value. Terms are the numbers of sparse vectors and the strings of facets, alike.
 * A posting is a record in two chains: the one of its term, linked both ways, and the one of its row. So a row is taken
 * out in the time it has terms, its records are used again, and nothing has to be compacted: no pauses, and no memory
 * but for what is held.
 *
 * Invariants: `heads` has a term's first posting for every term in `slotOf`, and no term without a posting is there;
 * a record is in its two chains or in the free chain.
 */
import { createRecordBlocks } from './record-blocks.ts'

export type Term = number | string

/** Words of a posting. The previous one of a term's first posting is the term itself, as `-1 - slot`. */
const rowAt = 0
const valueAt = 1
const nextAt = 2
const previousAt = 3
const nextOfRowAt = 4
const width = 5
const none = -1
/** 32,768 postings: 640 KiB. */
const blockShift = 15
/** What a term costs beside its postings: its place in the map and in the two arrays; measured. */
const bytesPerTerm = 90

export type Postings = {
  /** Adds a posting to the row's chain, which begins at `rowHead` (-1: nowhere), and answers where it begins now. */
  link(posting: { readonly row: number; readonly rowHead: number; readonly term: Term; readonly value: number }): number
  /** Takes every posting of a row out, given where its chain begins. */
  unlink(rowHead: number): void
  /** Where the chain of a term begins, -1: nowhere. */
  first(term: Term): number
  /** Calls `visit` for at most `countMax` postings from `posting` on and answers where to go on, -1: nowhere. */
  walk(posting: number, countMax: number, visit: (row: number, value: number) => void): number
  bytes(): number
}

export const createPostings = (): Postings => {
  const { ints, floats, shift, mask, ensure, bytes } = createRecordBlocks(width, blockShift)
  const slotOf = new Map<Term, number>()
  const terms: Term[] = []
  const heads: number[] = []
  const freeSlots: number[] = []
  let freePosting = none
  let postingCount = 0

  const get = (posting: number, word: number): number =>
    ints[posting >>> shift]?.[(posting & mask) * width + word] ?? none
  const set = (posting: number, word: number, value: number): void => {
    const block = ints[posting >>> shift]
    if (block !== undefined) block[(posting & mask) * width + word] = value
  }
  const setValue = (posting: number, value: number): void => {
    const block = floats[posting >>> shift]
    if (block !== undefined) block[(posting & mask) * width + valueAt] = value
  }

  const takePosting = (): number => {
    if (freePosting === none) {
      ensure(postingCount)
      postingCount += 1
      return postingCount - 1
    }
    const posting = freePosting
    freePosting = get(posting, nextAt)
    return posting
  }

  const takeSlot = (term: Term): number => {
    const known = slotOf.get(term)
    if (known !== undefined) return known
    const slot = freeSlots.pop() ?? terms.length
    slotOf.set(term, slot)
    terms[slot] = term
    heads[slot] = none
    return slot
  }

  const dropSlot = (slot: number): void => {
    const term = terms[slot]
    if (term === undefined) return
    slotOf.delete(term)
    terms[slot] = 0
    freeSlots.push(slot)
  }

  const link: Postings['link'] = ({ row, rowHead, term, value }) => {
    const slot = takeSlot(term)
    const posting = takePosting()
    const next = heads[slot] ?? none
    set(posting, rowAt, row)
    setValue(posting, value)
    set(posting, nextAt, next)
    set(posting, previousAt, -1 - slot)
    set(posting, nextOfRowAt, rowHead)
    if (next !== none) set(next, previousAt, posting)
    heads[slot] = posting
    return posting
  }

  const unlinkOne = (posting: number): void => {
    const next = get(posting, nextAt)
    const previous = get(posting, previousAt)
    if (next !== none) set(next, previousAt, previous)
    if (previous >= 0) set(previous, nextAt, next)
    else if (next === none) dropSlot(-1 - previous)
    else heads[-1 - previous] = next
    set(posting, nextAt, freePosting)
    freePosting = posting
  }

  return {
    link,
    unlink: (rowHead) => {
      for (let posting = rowHead; posting !== none; ) {
        const next = get(posting, nextOfRowAt)
        unlinkOne(posting)
        posting = next
      }
    },
    first: (term) => {
      const slot = slotOf.get(term)
      return slot === undefined ? none : (heads[slot] ?? none)
    },
    walk: (from, countMax, visit) => {
      let posting = from
      for (let count = 0; posting !== none && count < countMax; count += 1) {
        const at = (posting & mask) * width
        const block = ints[posting >>> shift]
        visit(block?.[at + rowAt] ?? none, floats[posting >>> shift]?.[at + valueAt] ?? 0)
        posting = block?.[at + nextAt] ?? none
      }
      return posting
    },
    bytes: () => bytes() + terms.length * bytesPerTerm,
  }
}
