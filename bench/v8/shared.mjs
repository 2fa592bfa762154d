// What the host's threads share: who is to run, the queue of new tasks, the CPUs' timers.

const CPUS = 64
const WORKERS = 4096
const JOBS = 1 << 14 // slots of the queue; more jobs than that are never waiting
const JOB_WORDS = 8 // ready, kind, six arguments
const GRANULE = 16 // bytes; two task_structs are never closer

/** Kinds of job that a worker takes. */
export const JOB = { boot: 0, task: 1, secondary: 2 }

/** Interrupts: bits in a CPU's pending word. */
export const IRQ = { timer: 2 }

/** Thrown out of a host call to drop a worker's guest stack: its task is dead. */
export const RELEASED = Symbol('released')

export class Shared {
  /** Over `buffers` of another thread's Shared, or new ones for `memoryLimit` bytes of guest. */
  constructor(memoryLimit, buffers) {
    this.buffers = buffers ?? {
      owners: new SharedArrayBuffer((memoryLimit / GRANULE) * 4),
      wake: new SharedArrayBuffer(WORKERS * 8),
      jobs: new SharedArrayBuffer(8 + JOBS * JOB_WORDS * 4),
      expiries: new SharedArrayBuffer(CPUS * 8),
      changed: new SharedArrayBuffer(4),
    }
    this.owners = new Int32Array(this.buffers.owners) // the worker of the task at an address
    this.wake = new Int32Array(this.buffers.wake) // a worker: [0 asleep, 1 to run, 2 dead; previous]
    this.jobs = new Int32Array(this.buffers.jobs) // [posted, taken, slots ...]
    this.expiries = new BigInt64Array(this.buffers.expiries) // ns; 0 = none
    this.changed = new Int32Array(this.buffers.changed) // counts changes of `expiries`
  }

  // ---- switching tasks

  /** From now on `worker` (1 and up) runs the task at `pointer`; addresses are used again. */
  bind(pointer, worker) {
    Atomics.store(this.owners, (pointer >>> 0) / GRANULE, worker)
  }

  /** Let the worker of task `pointer` go on; its switch returns `previous`. */
  resume(pointer, previous) {
    const slot = this.#slot(pointer)
    this.wake[slot + 1] = previous
    Atomics.store(this.wake, slot, 1)
    Atomics.notify(this.wake, slot)
  }

  /** Wait until task `pointer`, the caller's, is resumed; the previous task of that CPU. */
  sleep(pointer) {
    const slot = this.#slot(pointer)
    let why
    // A notify that comes late, after its token was taken without waiting, ends the next wait.
    while ((why = Atomics.exchange(this.wake, slot, 0)) === 0) Atomics.wait(this.wake, slot, 0)
    if (why === 2) throw RELEASED
    return this.wake[slot + 1]
  }

  /** End the sleeping worker of a dead task; a task that has never run has none. */
  release(pointer) {
    const slot = Atomics.exchange(this.owners, (pointer >>> 0) / GRANULE, 0) * 2
    if (slot === 0) return
    Atomics.store(this.wake, slot, 2)
    Atomics.notify(this.wake, slot)
  }

  #slot(pointer) {
    return Atomics.load(this.owners, (pointer >>> 0) / GRANULE) * 2
  }

  // ---- new tasks

  /** Queue a job; true if no idle worker is left to take the next one. */
  post(kind, ...values) {
    const ticket = Atomics.add(this.jobs, 0, 1)
    const slot = 2 + (ticket % JOBS) * JOB_WORDS
    this.jobs.set([kind, ...values], slot + 1)
    Atomics.store(this.jobs, slot, 1)
    Atomics.notify(this.jobs, slot)
    return Atomics.load(this.jobs, 1) <= ticket + 1
  }

  /** Wait for a job: [kind, arguments ...]. */
  take() {
    const ticket = Atomics.add(this.jobs, 1, 1)
    const slot = 2 + (ticket % JOBS) * JOB_WORDS
    while (Atomics.load(this.jobs, slot) === 0) Atomics.wait(this.jobs, slot, 0)
    const job = Array.from(this.jobs.subarray(slot + 1, slot + JOB_WORDS))
    Atomics.store(this.jobs, slot, 0)
    return job
  }

  // ---- timers

  /** Program the timer of a CPU for `expiry` ns (a BigInt; 0 = none). */
  program(cpu, expiry) {
    Atomics.store(this.expiries, cpu, expiry)
    Atomics.add(this.changed, 0, 1)
    Atomics.notify(this.changed, 0)
  }
}
