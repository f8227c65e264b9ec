// bee-queue 2 with its defaults: a finished job stays in its hash and in the set of those that succeeded, and an event
// is published for each. As its documentation advises, a worker listens to no events (getEvents is off) and keeps no
// job objects (storeJobs is off), and so does a client that only submits. Bulk goes through saveAll, a thousand at once.
//
// It stores no result: what a job returned is in the event alone, and is lost if nobody listens. Where results are to
// be stored (--results), the handler puts them into the job's data, which the end writes in any case. Most reliable: stalled jobs
// are looked for each 2 s (stallInterval is 5 s by default). A worker has to ask for that by checkStalledJobs.

import BeeQueue from 'bee-queue'
import { address, asked, checkTask, Identities, QUEUE, ready, slow, talk } from './conversation.mjs'

const options = asked()
const redis = address(options.url)
const stallInterval = options.isReliable ? 2000 : 5000
const QUIET = { redis, getEvents: false, storeJobs: false, stallInterval }

class Client {
  queue = new BeeQueue(QUEUE, { ...QUIET, isWorker: false })
  listening = null

  async bulk(works) {
    const jobs = works.map(({ data, id }) => {
      const job = this.queue.createJob(data)
      return id ? job.setId(id) : job
    })
    for (const error of (await this.queue.saveAll(jobs)).values()) throw error
  }

  async single({ data }) {
    await this.queue.createJob(data).save()
  }

  async listen() {
    this.listening ??= new BeeQueue(QUEUE, { redis, isWorker: false })
    await this.listening.ready()
  }

  async outcome({ data }) {
    // A job's own events are missed if it ends before save has answered; those of the queue are not.
    const job = this.listening.createJob(data)
    const results = new Map()
    const result = await new Promise((resolve, reject) => {
      const look = () => results.has(job.id) && resolve(results.get(job.id))
      this.listening.removeAllListeners('job succeeded')
      this.listening.on('job succeeded', (id, value) => {
        results.set(id, value)
        look()
      })
      job.save().then(look, reject)
    })
    if (result !== data.identity) throw new Error('a wrong result')
  }

  async slow(data) {
    return (await this.queue.createJob(data).save()).id
  }

  async read(id) {
    const job = await this.queue.getJob(id)
    return job && { state: job.status, result: job.data.result ?? null }
  }
}

async function work() {
  checkTask(options.task, 'async', 'slow')
  const identities = new Identities(options.identities)
  const queue = new BeeQueue(QUEUE, QUIET)
  queue.on('error', (error) => console.error(String(error)))
  await queue.ready()
  queue.checkStalledJobs(stallInterval)
  queue.process(options.concurrency, async (job) => {
    if (options.task === 'slow') {
      job.data.result = await slow(job.data)
      return job.data.result
    }
    identities.ran(job.data.identity)
    if (options.results) job.data.result = job.data.identity
    return job.data.identity
  })
  ready()
}

if (options.role === 'worker') await work()
else await talk(new Client())
