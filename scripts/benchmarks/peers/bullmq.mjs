// BullMQ 5 over ioredis, as its documentation advises for speed: an asynchronous processor in one OS process, with a
// number of jobs at once that the harness chooses. No metrics, no rate limit. Finished jobs are kept with what they
// returned (removeOnComplete is off, as by default), since outcomes are to be stored. 64, 128, 256, 512 and 1,024 at once
// were tried beside each other: 128 cost server and worker together the least, 1,024 a fifth more.
//
// Bulk goes through addBulk, a thousand at once. An outcome is waited for by waitUntilFinished, with one connection for
// events. Most reliable: locks of 2 s (30 s by default), a look for stalled jobs each second (30 s by default), and a
// job may stall 100 times before it fails (once by default).

import { Job, Queue, QueueEvents, Worker } from 'bullmq'
import { address, asked, checkTask, Identities, QUEUE, ready, slow, talk } from './conversation.mjs'

const options = asked()
const connection = { ...address(options.url), maxRetriesPerRequest: null }
const RELIABLE = { lockDuration: 2000, stalledInterval: 1000, maxStalledCount: 100 }

class Client {
  queue = new Queue(QUEUE, { connection })
  events = null

  async bulk(works) {
    await this.queue.addBulk(works.map(({ data, id }) => ({ name: 'nothing', data, opts: id ? { jobId: id } : {} })))
  }

  async single({ data }) {
    await this.queue.add('nothing', data)
  }

  async listen() {
    this.events ??= new QueueEvents(QUEUE, { connection })
    await this.events.waitUntilReady()
  }

  async outcome({ data }) {
    const job = await this.queue.add('nothing', data)
    if ((await job.waitUntilFinished(this.events)) !== data.identity) throw new Error('a wrong result')
  }

  async slow(data) {
    return (await this.queue.add('slow', data)).id
  }

  async read(id) {
    const job = await Job.fromId(this.queue, id)
    if (!job) return null
    const { attemptsStarted, failedReason, returnvalue, stalledCounter } = job
    return { state: await job.getState(), result: returnvalue, attemptsStarted, stalledCounter, failedReason }
  }
}

async function work() {
  checkTask(options.task, 'async', 'slow')
  const identities = new Identities(options.identities)
  const run = async (job) => {
    if (job.name === 'slow') return slow(job.data)
    identities.ran(job.data.identity)
    return job.data.identity
  }
  const settings = options.isReliable ? RELIABLE : {}
  const worker = new Worker(QUEUE, run, { connection, concurrency: options.concurrency, ...settings })
  worker.on('error', (error) => console.error(String(error)))
  await worker.waitUntilReady()
  ready()
}

if (options.role === 'worker') await work()
else await talk(new Client())
