/**
 * Dot products of 8-bit codes with a 16-bit query, in WebAssembly SIMD, because JavaScript has no vector instructions.
 * The module is small enough to be written out here, instruction by instruction, instead of shipping a compiler:
 *
 *   dots(codes, out, rows, width): for each of `rows` rows of `width` bytes from `codes` on, the sum of its products with
 *   the query at address 0, as an i32 at `out`. Four times eight codes are widened, multiplied and added in each step, so
 *   `width` is a multiple of 32; `rows` is at least 1.
 *
 * Rows are copied into the module's memory a block at a time: a block fits the processor's cache, so the copy costs
 * little, and what a space holds stays in arrays that the garbage collector frees.
 */
export const kernelStep = 32

export type CoarseKernel = {
  /** Rows that one call may have. */
  readonly rowsMax: number
  readonly query: Int16Array
  /** Valid until the next call. */
  dots(codes: Int8Array, rows: number): Int32Array
}

const pageBytes = 65_536

const op = {
  loop: [0x03, 0x40],
  end: [0x0b],
  branchIf: (depth: number) => [0x0d, depth],
  get: (local: number) => [0x20, local],
  set: (local: number) => [0x21, local],
  tee: (local: number) => [0x22, local],
  constant: (value: number) => [0x41, value],
  store: [0x36, 2, 0],
  isBelow: [0x49],
  add: [0x6a],
  subtract: [0x6b],
  load: (offset: number) => [0xfd, 0x00, 0, offset],
  loadCodes: (offset: number) => [0xfd, 0x01, 0, offset],
  zeros: [0xfd, 0x0c, ...Array.from({ length: 16 }, () => 0)],
  lane: (lane: number) => [0xfd, 0x1b, lane],
  addLanes: [0xfd, 0xae, 0x01],
  dotLanes: [0xfd, 0xba, 0x01],
}

const [codes, out, rows, width, at, sum] = [0, 1, 2, 3, 4, 5] as const

/** sum += codes[at + 8 part ..] . query[at + 8 part ..] */
const accumulate = (part: number): readonly number[] => [
  ...[...op.get(sum), ...op.get(codes), ...op.get(at), ...op.add, ...op.loadCodes(8 * part)],
  ...[...op.get(at), ...op.get(at), ...op.add, ...op.load(16 * part)],
  ...[...op.dotLanes, ...op.addLanes, ...op.set(sum)],
]

const body: readonly number[] = [
  ...op.loop,
  ...[...op.zeros, ...op.set(sum), ...op.constant(0), ...op.set(at)],
  ...op.loop,
  ...[0, 1, 2, 3].flatMap(accumulate),
  ...[...op.get(at), ...op.constant(kernelStep), ...op.add, ...op.tee(at)],
  ...[...op.get(width), ...op.isBelow, ...op.branchIf(0)],
  ...op.end,
  ...op.get(out),
  ...[...op.get(sum), ...op.lane(0), ...op.get(sum), ...op.lane(1), ...op.add],
  ...[...op.get(sum), ...op.lane(2), ...op.add, ...op.get(sum), ...op.lane(3), ...op.add],
  ...op.store,
  ...[...op.get(out), ...op.constant(4), ...op.add, ...op.set(out)],
  ...[...op.get(codes), ...op.get(width), ...op.add, ...op.set(codes)],
  ...[...op.get(rows), ...op.constant(1), ...op.subtract, ...op.tee(rows), ...op.branchIf(0)],
  ...op.end,
  ...op.end,
]

const [i32, v128] = [0x7f, 0x7b]

const encodeUnsigned = (value: number): readonly number[] =>
  value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...encodeUnsigned(value >>> 7)]
const sized = (bytes: readonly number[]): readonly number[] => [...encodeUnsigned(bytes.length), ...bytes]
const named = (text: string): readonly number[] => sized([...Buffer.from(text)])
const section = (id: number, bytes: readonly number[]): readonly number[] => [id, ...sized(bytes)]

const moduleBytes = Uint8Array.from([
  ...[...Buffer.from('\0asm'), 1, 0, 0, 0],
  ...section(1, [1, 0x60, 4, i32, i32, i32, i32, 0]),
  ...section(2, [1, ...named('scratch'), ...named('memory'), 0x02, 0x00, 1]),
  ...section(3, [1, 0]),
  ...section(7, [1, ...named('dots'), 0x00, 0]),
  ...section(10, [1, ...sized([2, 1, i32, 1, v128, ...body])]),
])

type Dots = (codes: number, out: number, rows: number, width: number) => void

/** The part used here of what Node has; its types do not name it. */
declare const WebAssembly: {
  readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer }
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: { readonly dots: Dots } }
}

/** A kernel for rows of `width` codes, with a memory of its own for as much as one call needs. */
export const createCoarseKernel = (width: number, rowsMax: number): CoarseKernel => {
  const codesAt = 2 * width
  const outAt = codesAt + rowsMax * width
  const memory = new WebAssembly.Memory({ initial: Math.ceil((outAt + 4 * rowsMax) / pageBytes) })
  const instance = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes), { scratch: { memory } })
  const { dots } = instance.exports
  const scratch = new Int8Array(memory.buffer, codesAt, rowsMax * width)
  const products = new Int32Array(memory.buffer, outAt, rowsMax)
  return {
    rowsMax,
    query: new Int16Array(memory.buffer, 0, width),
    dots: (block, count) => {
      scratch.set(block)
      dots(codesAt, outAt, count, width)
      return products
    },
  }
}
