// A worker: takes a guest task, runs it to its end on an instance of its own, takes the next.

import { parentPort, workerData } from 'node:worker_threads'
import { KernelTask } from './kernel.mjs'
import { JOB, RELEASED, Shared } from './shared.mjs'

const shared = new Shared(0, workerData.shared)
const { boot, worker } = workerData

function start(task, job) {
  // A thread that starts while another one grows the memory may never hear of it (V8 11);
  // growing by nothing brings its view, and that of its instances, up to date.
  workerData.memory.grow(0)
  const [kind, ...values] = job
  if (kind === JOB.boot) {
    task.boot(boot, worker)
  } else if (kind === JOB.secondary) {
    const [idle, stack] = values
    shared.bind(idle, worker)
    task.exports._start_secondary(stack)
  } else {
    const [previous, pointer, ...image] = values
    shared.bind(pointer, worker)
    task.image = image
    task.runUser(task.exports.ret_from_fork(previous, pointer))
  }
}

for (let first = true; ; first = false) {
  const task = new KernelTask(workerData, shared, parentPort)
  try {
    start(task, first && boot ? [JOB.boot] : shared.take())
    throw new Error('the guest returned from a task')
  } catch (error) {
    if (error !== RELEASED) throw error
  }
}
