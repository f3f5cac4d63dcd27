/** A service that runs out of file descriptors: what its embedded database comes to meanwhile, and what it says. */
import { connect, type Socket } from 'node:net'
import { afterAll, describe, expect, it } from 'vitest'
import { call, createProcesses, isAlive, postgresPidOf } from '../support/service-process.ts'

const { makeFolder, start, end } = createProcesses()
const connectionsMax = 160

afterAll(end)

/** More connections than the process can have, some of them always new, until told to end. */
const crowd = (url: string, isOver: () => boolean): Promise<void> => {
  const { hostname, port } = new URL(url)
  const sockets = new Set<Socket>()
  const open = () => {
    const socket = connect({ host: hostname, port: Number(port) })
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  }
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      for (const socket of [...sockets].slice(0, isOver() ? connectionsMax : 10)) socket.destroy()
      while (!isOver() && sockets.size < connectionsMax) open()
      if (!isOver() || sockets.size > 0) return
      clearInterval(timer)
      resolve()
    }, 50)
  })
}

describe('a process with 128 file descriptors and 160 connections that come and go', () => {
  it('M1: leaves its live database alone, says that it does not know, and serves again when they are gone', async () => {
    const service = await start({ env: { AGEMEM_DATA_DIR: await makeFolder() }, filesMax: 128 })
    const postgresPid = postgresPidOf(service)
    expect(service.output()).toMatch(/"filesMax":128,"filesNeeded":\d+,.*limit of open files/)
    const path = '/v1/agents/a/memories'
    expect((await call(service, path, { body: { content: 'The spare key is at Mia’s.' } })).status).toBe(201)

    let isOver = false
    const crowded = crowd(service.url, () => isOver)
    await expect.poll(service.output).toMatch(/whether the embedded database runs cannot be known/)
    isOver = true
    await crowded
    const readiness = () =>
      fetch(`${service.url}/health/ready`).then(
        ({ status }) => status,
        () => 0,
      )
    await expect.poll(readiness).toBe(200)
    await expect.poll(service.output).toMatch(/can be looked after again/)

    expect(service.output()).not.toMatch(/is gone|could not be started|watched no more/)
    expect(service.output().match(/the embedded database is up/g)).toHaveLength(1)
    expect(isAlive(postgresPid)).toBe(true)
    const listed = (await (await call(service, path)).json()) as { data: readonly { content: string }[] }
    expect(listed.data.map(({ content }) => content)).toEqual(['The spare key is at Mia’s.'])
  }, 120_000)
})
