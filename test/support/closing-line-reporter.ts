/** Ends the run with one line, `N passed, N failed`, that a script can read. */
import type { Reporter, TestModule } from 'vitest/node'

const count = (modules: readonly TestModule[], state: 'passed' | 'failed'): number =>
  modules.reduce((sum, module) => sum + [...module.children.allTests(state)].length, 0)

export default class ClosingLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const brokenModules = modules.filter((module) => module.errors().length > 0).length
    const failed = count(modules, 'failed') + brokenModules + unhandledErrors.length
    process.stdout.write(`\n${count(modules, 'passed')} passed, ${failed} failed\n`)
  }
}
