// A worker: takes a guest task, runs it to its end on an instance of its own, takes the next.

import { parentPort, workerData } from 'node:worker_threads'
import { KernelTask } from './kernel.mjs'
import { JOB, RELEASED, Shared } from './shared.mjs'

const shared = new Shared(0, workerData.shared)

function run(task, job) {
  const [kind, ...values] = job
  if (kind === JOB.secondary) {
    const [idle, stack] = values
    task.pointer = idle
    task.exports._start_secondary(stack)
  } else {
    const [previous, pointer, ...image] = values
    task.pointer = pointer
    task.image = image
    task.runUser(task.exports.ret_from_fork(previous, pointer))
  }
}

function attempt(body) {
  try {
    body()
    throw new Error('the guest returned from a task')
  } catch (error) {
    if (error !== RELEASED) throw error
  }
}

const { boot } = workerData
if (boot) {
  const task = new KernelTask(workerData, shared, parentPort)
  attempt(() => task.boot(boot))
}
for (;;) {
  const task = new KernelTask(workerData, shared, parentPort)
  const job = shared.take()
  attempt(() => run(task, job))
}
