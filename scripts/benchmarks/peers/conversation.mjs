// What the Node.js peers share: the command line, the files of identities, and the client's side of the conversation.

import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

export const QUEUE = 'bench'
export const BULK = 1000 // as many go at once

const FULL = 256
const FLUSH_MS = 20

/** What the command line says. */
export function asked() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      url: { type: 'string' },
      concurrency: { type: 'string', default: '64' },
      identities: { type: 'string', default: '' },
      task: { type: 'string', default: 'async' },
      settings: { type: 'string', default: 'default' },
      results: { type: 'boolean', default: false },
    },
  })
  return {
    ...values,
    role: positionals[0],
    concurrency: Number(values.concurrency),
    isReliable: values.settings === 'reliable',
  }
}

/** Says why there is no such worker, and ends, if its task is not one of these. */
export function checkTask(task, ...known) {
  if (known.includes(task)) return
  say({ unsupported: task === 'plain' ? 'Node.js runs no plain function beside another' : `it has no task ${task}` })
  process.exit(0)
}

/** What both client libraries take for a redis:// or unix:// URL. */
export function address(url) {
  const { protocol, hostname, port, pathname } = new URL(url)
  return protocol === 'unix:' ? { path: pathname } : { host: hostname, port: Number(port) }
}

/** Writes the identities that ran to a file of this process, 8 bytes each, little endian. */
export class Identities {
  #file
  #buffer = Buffer.alloc(8 * FULL)
  #length = 0

  constructor(folder) {
    this.#file = folder && join(folder, String(process.pid))
    if (folder) setInterval(() => this.flush(), FLUSH_MS).unref()
    process.on('exit', () => this.flush())
  }

  ran(identity) {
    this.#buffer.writeUInt32LE(identity, this.#length)
    this.#buffer.writeUInt32LE(0, this.#length + 4)
    this.#length += 8
    if (this.#length === this.#buffer.length) this.flush()
  }

  flush() {
    if (this.#file && this.#length) appendFileSync(this.#file, this.#buffer.subarray(0, this.#length))
    this.#length = 0
  }
}

/** The slow task: says in a file when it starts and ends, and returns which run it was. */
export async function slow({ file, seconds }) {
  const run = `${process.pid}-${process.hrtime.bigint()}`
  appendFileSync(file, `start ${run}\n`)
  await sleep(1000 * seconds)
  appendFileSync(file, `end ${run}\n`)
  return `by-${run}`
}

/** Says that a worker takes work. SIGTERM ends it. */
export function ready() {
  process.on('SIGTERM', () => process.exit(0))
  say({ ready: true })
}

/** Answers each command on stdin by one of these methods; what a peer lacks is unsupported. */
export async function talk(client) {
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line)
    const cpu = process.cpuUsage()
    const began = performance.now()
    const more = await answered(client, command)
    const used = process.cpuUsage(cpu)
    say({ seconds: (performance.now() - began) / 1000, cpu: (used.user + used.system) / 1e6, ...more })
  }
  process.exit(0)
}

async function answered(client, command) {
  const { from = 0, count = 0, named, caller, task } = command
  switch (command.do) {
    case 'bulk':
      for (let at = from; at < from + count; at += BULK) {
        const length = Math.min(BULK, from + count - at)
        await client.bulk(Array.from({ length }, (_, number) => work(at + number, named)))
      }
      return {}
    case 'single':
      if (caller === 'plain') return { unsupported: 'Node.js has no blocking calls' }
      for (let number = from; number < from + count; number += 1) await client.single(work(number))
      return {}
    case 'outcomes': {
      await client.listen()
      const latencies = []
      for (let number = from; number < from + count; number += 1) {
        const began = performance.now()
        await client.outcome(work(number))
        latencies.push(performance.now() - began)
      }
      return { latencies }
    }
    case 'slow':
      if (task !== 'slow') return { unsupported: 'it has no work that may not run twice' }
      return { id: await client.slow({ file: command.file, seconds: command.seconds }) }
    case 'read':
      return { record: await client.read(command.id) }
  }
  return { unsupported: `no such command: ${command.do}` }
}

/** One no-op: its arguments, and its id if the client chooses one. */
function work(identity, named) {
  const data = { identity, name: 'tenant-7' }
  return named ? { data, id: `process-${String(identity).padStart(12, '0')}` } : { data }
}

function say(answer) {
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
