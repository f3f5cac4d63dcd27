/**
 * `sql` writes a parameterised statement: ``sql`select 1 where id = ${id}` ``. Each place in the code gets one prepared
 * statement, named after its text, so PostgreSQL parses and plans it once per connection. Values only: identifiers and
 * fragments cannot be interpolated, which keeps every statement constant and greppable.
 */
import { createHash } from 'node:crypto'

export type SqlStatement = { readonly name: string; readonly text: string; readonly values: readonly unknown[] }

const textOfTemplate = new WeakMap<TemplateStringsArray, { name: string; text: string }>()

const compile = (strings: TemplateStringsArray) => {
  const text = strings.reduce((joined, part, index) => (index === 0 ? part : `${joined}$${index}${part}`), '')
  const name = createHash('sha1').update(text).digest('hex')
  const compiled = { name, text }
  textOfTemplate.set(strings, compiled)
  return compiled
}

export const sql = (strings: TemplateStringsArray, ...values: readonly unknown[]): SqlStatement => ({
  ...(textOfTemplate.get(strings) ?? compile(strings)),
  values,
})

/** Numbers as PostgreSQL writes an array, for a value with a cast: the driver takes a pattern to each of a hundred thousand. */
export const numberArray = (numbers: readonly number[]): string => `{${numbers.join()}}`
