/**
 * Growable storage for records of one width in 32-bit words. It grows by whole blocks, so a big store is never copied
 * and wastes at most one block; only the first block doubles, so that a small store stays small. The arrays are handed
 * out bare because the loops over them are the hot ones: record `r` is in block `r >>> shift`, at word
 * `(r & mask) * width`. Both views of a block share its bytes.
 */
export type RecordBlocks = {
  readonly width: number
  readonly shift: number
  readonly mask: number
  readonly floats: readonly Float32Array[]
  readonly ints: readonly Int32Array[]
  /** Makes room for a record; what it holds at first is zero. */
  ensure(record: number): void
  bytes(): number
}

const firstRecordsMin = 8

export const createRecordBlocks = (width: number, shift: number): RecordBlocks => {
  const floats: Float32Array[] = []
  const ints: Int32Array[] = []
  const mask = (1 << shift) - 1
  let bytes = 0

  const replaceBlock = (block: number, records: number) => {
    const grown = new Int32Array(records * width)
    const old = ints[block]
    if (old !== undefined) grown.set(old)
    bytes += grown.byteLength - (old?.byteLength ?? 0)
    ints[block] = grown
    floats[block] = new Float32Array(grown.buffer)
  }

  const ensure = (record: number): void => {
    const block = record >>> shift
    while (ints.length < block) replaceBlock(ints.length, 0)
    const held = (ints[block]?.length ?? 0) / width
    const wanted = (record & mask) + 1
    if (wanted <= held) return
    const doubled = Math.max(firstRecordsMin, wanted, held * 2)
    replaceBlock(block, block === 0 ? Math.min(doubled, mask + 1) : mask + 1)
  }

  return { width, shift, mask, floats, ints, ensure, bytes: () => bytes }
}
