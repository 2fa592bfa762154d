// The benchmark's peer: the same, unrewritten kernel under V8. One worker thread a guest task; a
// context switch is a hand-over between two workers with Atomics.notify and Atomics.wait.
//
//   node host.mjs KERNEL [--initrd FILE] [--append TEXT] [--cpus N] [--memory MIB] [--workers N]
//
// Console output goes to standard output. Exit status: that of the guest's scripted command, 0 at
// a power-off, 1 at a panic or trap. A benchmark's host: no console input, no deterministic order.

import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { importedMemoryPages } from './module.mjs'
import { Shared } from './shared.mjs'

const PAGE = 65536

function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      initrd: { type: 'string' },
      append: { type: 'string', default: '' },
      cpus: { type: 'string', default: '1' },
      memory: { type: 'string', default: '64' },
      workers: { type: 'string', default: '48' },
    },
  })
  if (positionals.length !== 1) {
    console.error('usage: node host.mjs KERNEL [--initrd FILE] [--append TEXT] [--cpus N] ...')
    process.exit(2)
  }
  return { kernel: positionals[0], ...values }
}

const { kernel, initrd, append, cpus, memory: mebibytes, workers } = options()
const bytes = readFileSync(kernel)
const memory = new WebAssembly.Memory({
  initial: importedMemoryPages(bytes),
  maximum: Number(mebibytes) * (1 << 20) / PAGE,
  shared: true,
})
const shared = new Shared(Number(mebibytes) << 20)
const module = await WebAssembly.compile(bytes)

let initrdRange = null
if (initrd) {
  const image = readFileSync(initrd)
  const start = memory.grow(Math.ceil(image.length / PAGE)) * PAGE
  new Uint8Array(memory.buffer).set(image, start)
  initrdRange = [start, start + image.length]
}

let spawned = 0

function spawn(file, data) {
  const worker = new Worker(new URL(file, import.meta.url), {
    workerData: { module, memory, shared: shared.buffers, worker: ++spawned, ...data },
  })
  worker.on('error', (error) => {
    console.error(`v8 host: ${error?.stack ?? error}`)
    process.exit(3)
  })
  worker.on('message', (message) => {
    if (message.kind === 'end') process.exit(message.status)
    else if (message.kind === 'worker') spawn('./task.mjs', {})
    else if (message.kind === 'timer') spawn('./timer.mjs', { irqWords: message.irqWords })
  })
}

const commandLine = `nr_cpus=${cpus} ${append}`.trim()
spawn('./task.mjs', { boot: { commandLine, initrd: initrdRange } })
for (let count = 1; count < Number(workers); count++) spawn('./task.mjs', {})
