/** What the process takes with one large agent: after it was filled there, and in a new process that reads it anew. */
import { megabytes, ms } from '../figures.ts'
import type { ProcessState } from '../service.ts'
import type { Subject } from '../subject.ts'
import { textAt } from '../texts.ts'
import { timed } from '../timing.ts'

const bytesMax = 600_000_000
const searches = 50

type Answer = { readonly degraded: readonly string[] }

const shown = ({ rss, heapUsed, heapTotal, external }: ProcessState): string =>
  `rss ${megabytes(rss)}; heap ${megabytes(heapUsed)} of ${megabytes(heapTotal)}, external ${megabytes(external)}`

export const benchMemory: Subject = async (bench, { report, memoriesMax }) => {
  const agent = `search-${memoriesMax}`
  await bench.ensureFilled(agent, memoriesMax)
  const search = (at: number) =>
    bench.client.post<Answer>(`/v1/agents/${agent}/memories/search`, { query: textAt(at), top_k: 5 })
  const searchUntilWhole = async () => {
    while ((await search(0)).degraded.length > 0);
  }
  const addFigure = async (what: string) => {
    for (let at = 0; at < searches; at += 1) await search(at)
    const state = await bench.readState()
    report.add({
      what: `${what}, ${memoriesMax.toLocaleString('en')} memories of 512 dimensions`,
      figure: shown(state),
      target: { text: '600 MB', isMet: state.rss < bytesMax },
    })
  }
  await addFigure('the process that wrote and searched them')
  await bench.restart()
  const empty = await bench.readState()
  report.add({ what: 'a process that holds nothing yet', figure: shown(empty) })
  const firstMs = await timed(searchUntilWhole)
  const { longestPauseMs } = await bench.readState()
  report.add({
    what: `first whole answer after a start, ${memoriesMax.toLocaleString('en')} memories`,
    figure: `${ms(firstMs)}, longest pause of the event loop ${ms(longestPauseMs)}`,
  })
  await addFigure('a process that searches them')
}
