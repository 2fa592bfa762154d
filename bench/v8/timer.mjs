// The timer hardware of all CPUs: raises a CPU's timer interrupt when its time has come.

import { workerData } from 'node:worker_threads'
import { IRQ, Shared } from './shared.mjs'

const IRQ_STRIDE = 64 // bytes between the interrupt words of two CPUs
const { memory, irqWords } = workerData
const shared = new Shared(0, workerData.shared)

function raise(cpu) {
  const words = new Int32Array(memory.buffer)
  const word = (irqWords + cpu * IRQ_STRIDE) >>> 2
  Atomics.or(words, word, IRQ.timer)
  Atomics.notify(words, word)
}

for (;;) {
  const seen = Atomics.load(shared.changed, 0)
  const now = process.hrtime.bigint()
  let next = 0n
  for (let cpu = 0; cpu < shared.expiries.length; cpu++) {
    const expiry = Atomics.load(shared.expiries, cpu)
    if (expiry === 0n) continue
    if (expiry > now) {
      if (next === 0n || expiry < next) next = expiry
    } else if (Atomics.compareExchange(shared.expiries, cpu, expiry, 0n) === expiry) {
      raise(cpu)
    }
  }
  const timeout = next === 0n ? Infinity : Math.max(Number(next - now) / 1e6, 0)
  Atomics.wait(shared.changed, 0, seen, timeout)
}
