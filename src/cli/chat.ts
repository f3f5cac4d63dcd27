/** `npm run chat`: talk with an agent and see what it thinks, remembers and forgets. Needs a service with a model. */
import { createInterface, type Interface } from 'node:readline'
import { parseArgs } from 'node:util'
import { type Chat, runChatCommand } from './chat-commands.ts'
import { type ServiceAddress, streamRun } from './chat-events.ts'
import { createChatScreen } from './chat-screen.ts'
import { HttpProblem, HttpUnreachable } from './http-request.ts'
import { type Clients, runCommand, UsageError, withService } from './run-command.ts'
import { standardOutput } from './terminal.ts'

const usage = `Usage: npm run chat -- [options]

  --url, --key        a running service and its tenant key, or AGEMEM_URL and AGEMEM_KEY; without them a service is
                      started for the chat, with temporary data and the model of AGEMEM_VLLM_URL and AGEMEM_VLLM_MODEL
  --agent <id>        whose memory it is (chat)
  --session <id>      go on with a session of the agent; without it, a new one
  --budget <tokens>   room of the new session's context
  --help`

const noModel =
  'The service has no model, and a chat needs one. Start the service with AGEMEM_VLLM_URL and AGEMEM_VLLM_MODEL, the ' +
  'address and the model of a vLLM server; or set both for this command, and it starts a service with them.'

type Options = {
  readonly url: string | undefined
  readonly key: string | undefined
  readonly agentId: string
  readonly sessionId: string | undefined
  readonly budgetTokens: number | undefined
}

/** Null: help is wanted. */
const readOptions = (args: readonly string[], env: NodeJS.ProcessEnv): Options | null => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      url: { type: 'string' },
      key: { type: 'string' },
      agent: { type: 'string', default: 'chat' },
      session: { type: 'string' },
      budget: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return null
  const { budget } = values
  if (budget !== undefined && !/^\d{1,8}$/.test(budget)) throw new UsageError(`--budget ${budget}: give tokens.`)
  return {
    url: values.url ?? env.AGEMEM_URL,
    key: values.key ?? env.AGEMEM_KEY,
    agentId: values.agent,
    sessionId: values.session,
    budgetTokens: budget === undefined ? undefined : Number(budget),
  }
}

const openChat = async ({ client }: Clients, options: Options): Promise<Omit<Chat, 'screen'>> => {
  const { agentId, budgetTokens } = options
  if (options.sessionId !== undefined) return { client, agentId, sessionId: options.sessionId }
  const budget = budgetTokens === undefined ? {} : { budget_tokens: budgetTokens }
  const { session_id: sessionId } = await client.createSession({ agent_id: agentId, ...budget })
  return { client, agentId, sessionId }
}

const hasModel = async ({ client }: Clients): Promise<boolean> =>
  (await client.request<{ data: readonly unknown[] }>('GET', '/v1/models')).body.data.length > 0

const say = async (
  chat: Chat,
  service: ServiceAddress,
  line: { input: string; signal: AbortSignal },
): Promise<void> => {
  for await (const event of streamRun(service, { ...line, sessionId: chat.sessionId })) chat.screen.show(event)
}

/** A line that the service refuses is no reason to end the chat. */
const answerLine = async (chat: Chat, service: ServiceAddress, line: { input: string; signal: AbortSignal }) => {
  try {
    await (line.input.startsWith('/') ? runChatCommand(chat, line.input) : say(chat, service, line))
  } catch (error) {
    if (!(error instanceof HttpProblem || error instanceof HttpUnreachable)) throw error
    chat.screen.line(`  ${error.message}`, 'red')
  }
}

const openInput = (signal: AbortSignal): Interface => {
  const isTerminal = process.stdin.isTTY === true
  const input = createInterface({
    input: process.stdin,
    output: isTerminal ? process.stdout : undefined,
    prompt: 'you> ',
  })
  // In a terminal the line editor takes Ctrl-C before the process sees it.
  input.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  signal.addEventListener('abort', () => input.close(), { once: true })
  return input
}

const talk = async (chat: Chat, service: ServiceAddress, signal: AbortSignal): Promise<void> => {
  const input = openInput(signal)
  input.prompt()
  for await (const raw of input) {
    const line = raw.trim()
    if (process.stdin.isTTY !== true) chat.screen.line(`you> ${line}`)
    if (line === '/quit') break
    if (line !== '') await answerLine(chat, service, { input: line, signal })
    signal.throwIfAborted()
    input.prompt()
  }
  input.close()
}

const main = async (signal: AbortSignal): Promise<number> => {
  const options = readOptions(process.argv.slice(2), process.env)
  if (options === null) {
    process.stdout.write(`${usage}\n`)
    return 0
  }
  const announce = (line: string) => process.stderr.write(`${line}\n`)
  return withService(options, { signal, announce }, async (clients) => {
    if (!(await hasModel(clients))) {
      announce(noModel)
      return 1
    }
    const screen = createChatScreen(standardOutput())
    const chat = { ...(await openChat(clients, options)), screen }
    screen.line(`session ${chat.sessionId} of agent ${chat.agentId}; /help lists the commands`, 'dim')
    await talk(chat, clients.service, signal)
    return 0
  })
}

await runCommand(main)
