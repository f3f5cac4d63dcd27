/** Colours, only where the output is a terminal that shows them. */
const codes = { bold: '1', dim: '2', red: '31', green: '32', yellow: '33', cyan: '36' } as const

export type Colour = keyof typeof codes

export type Terminal = { readonly write: (text: string) => unknown; readonly hasColours: boolean }

export const standardOutput = (): Terminal => ({
  write: (text) => process.stdout.write(text),
  hasColours: process.stdout.isTTY === true && process.env.NO_COLOR === undefined,
})

/** Without a colour, or where none are shown, the text as it is. */
export const createPaint =
  ({ hasColours }: Pick<Terminal, 'hasColours'>) =>
  (text: string, colour?: Colour): string =>
    hasColours && colour !== undefined ? `\x1b[${codes[colour]}m${text}\x1b[0m` : text
