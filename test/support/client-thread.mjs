/** The other side of `client-thread.ts`: requests made, sent and read outside of the thread that is measured. */
import { request } from 'node:http'
import { parentPort, workerData } from 'node:worker_threads'

const told = 65_536
const loaded = new Map()

const send = ({ method, path, headers, body }) =>
  new Promise((resolve, reject) => {
    const asked = request(new URL(path, workerData.url), { method, headers }, (answer) => {
      const pieces = []
      answer.on('data', (piece) => pieces.push(piece))
      answer.on('error', reject)
      answer.on('end', () => {
        const text = Buffer.concat(pieces)
        resolve({ status: answer.statusCode, bytes: text.length, text: text.toString('utf8', 0, told) })
      })
    })
    asked.on('error', reject)
    asked.end(body)
  })

parentPort.on('message', async ({ id, load }) => {
  if (load !== undefined) {
    const { json, text, headers, ...line } = load
    const body = json === undefined ? text : JSON.stringify(json)
    const type = body === undefined ? {} : { 'content-type': 'application/json' }
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
    loaded.set(id, { ...line, headers: { ...workerData.headers, ...type, ...length, ...headers }, body })
    parentPort.postMessage({ id })
    return
  }
  const asked = loaded.get(id)
  loaded.delete(id)
  send(asked).then(
    (answer) => parentPort.postMessage({ id, answer }),
    (error) => parentPort.postMessage({ id, error: String(error) }),
  )
})
