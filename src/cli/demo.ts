/** `npm run demo`: one agent's three days with all six tools, to see what they do. Needs no model and no account. */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { eraseAgents } from '../evaluation/retrieval-runner.ts'
import { demoBeats, finalChecks } from './demo-conversation.ts'
import { closingTexts, playBeat, playCheck } from './demo-player.ts'
import { createScreen } from './demo-screen.ts'
import { createDemoStage } from './demo-stage.ts'
import type { HttpClient } from './http-client.ts'
import { type Clients, runCommand, UsageError, withService } from './run-command.ts'
import { standardOutput } from './terminal.ts'

const usage = `Usage: npm run demo -- [options]

  --url, --key     a running service and its tenant key; without them the demo starts one of its own
  --fast           no pauses (this is how it runs anyway)
  --pause <ms>     a pause after each step, to read along
  --keep           leave the demo's agent in the service (only with --url)
  --help`

const eraseTimeoutMs = 30_000

type Options = {
  readonly url: string | undefined
  readonly key: string | undefined
  readonly pauseMs: number
  readonly keeps: boolean
}

/** Null: help is wanted. */
const readOptions = (args: readonly string[]): Options | null => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      url: { type: 'string' },
      key: { type: 'string' },
      fast: { type: 'boolean', default: false },
      pause: { type: 'string', default: '0' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return null
  if (!/^\d{1,5}$/.test(values.pause))
    throw new UsageError(`--pause ${values.pause}: give milliseconds, at most 99999.`)
  const pauseMs = values.fast ? 0 : Number(values.pause)
  return { url: values.url, key: values.key, pauseMs, keeps: values.keep }
}

const intro = [
  'An agent that talks for days has three problems: its context fills up, what leaves the context is forgotten, and what ' +
    'it wrote down stays written when it is no longer true.',
  'AgeMem gives it six tools. ADD, UPDATE, DELETE and RETRIEVE tend a long-term memory; SUMMARY and FILTER tend the ' +
    'context. Here a script plays a wise agent that helps Nora with her move, and you see what each call does to memory ' +
    'and to the context.',
]

const play = async (
  client: HttpClient,
  agentId: string,
  { pauseMs, signal }: { pauseMs: number; signal: AbortSignal },
) => {
  const screen = createScreen(standardOutput())
  for (const paragraph of intro) screen.paragraph(paragraph)
  const stage = await createDemoStage({ client, screen, agentId, signal })
  for (const beat of demoBeats) {
    await playBeat(stage, beat)
    if (pauseMs > 0) await delay(pauseMs, undefined, { signal })
  }
  screen.heading('What memory holds now')
  screen.blank()
  for (const check of finalChecks) await playCheck(stage, check)
  screen.heading('What it was for')
  for (const text of await closingTexts(stage, finalChecks)) screen.paragraph(text)
  if (stage.failures.length === 0) return 0
  screen.paragraph(`${stage.failures.length} expectation(s) did not hold: see FAILED above.`)
  return 1
}

const playAndErase = async ({ client, cleanupClient }: Clients, options: Options, signal: AbortSignal) => {
  const agentId = `demo-${randomBytes(4).toString('hex')}`
  try {
    return await play(client, agentId, { pauseMs: options.pauseMs, signal })
  } finally {
    if (options.url !== undefined && !options.keeps) {
      const failures = await eraseAgents(cleanupClient, [agentId], AbortSignal.timeout(eraseTimeoutMs))
      for (const failure of failures) process.stderr.write(`could not erase the agent ${failure}\n`)
    }
  }
}

const main = async (signal: AbortSignal): Promise<number> => {
  const options = readOptions(process.argv.slice(2))
  if (options === null) {
    process.stdout.write(`${usage}\n`)
    return 0
  }
  const announce = (line: string) => process.stderr.write(`${line}\n`)
  return withService(options, { signal, announce }, (clients) => playAndErase(clients, options, signal))
}

await runCommand(main)
