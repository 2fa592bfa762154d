// A task's kernel instance and the host calls of the linux-wasm interface (docs/host-interface.md).

import { writeSync } from 'node:fs'
import { JOB } from './shared.mjs'
import { HandlerLeft, ProgramReplaced, UserProgram } from './user.mjs'

const ENOSYS = -38

export class KernelTask {
  /** Instantiate the kernel for a task to come. */
  constructor({ module, memory }, shared, host) {
    this.memory = memory
    this.shared = shared
    this.host = host
    this.image = null // [start, end, data, table] of the user program, guest addresses
    this.user = null
    const env = { memory }
    for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
      if (kind !== 'function') continue
      const call = calls[name] ?? (name.startsWith('sys_') ? () => ENOSYS : undefined)
      if (from !== 'env' || !call) throw new Error(`the kernel imports ${from}.${name}`)
      env[name] = call.bind(this)
    }
    this.exports = new WebAssembly.Instance(module, { env }).exports
  }

  /** Start CPU 0, on worker number `worker`. Does not return. */
  boot({ commandLine, initrd }, worker) {
    const address = (name) => this.exports[name].value >>> 0
    this.shared.bind(address('init_task'), worker)
    this.bytes().set(new TextEncoder().encode(`${commandLine}\0`), address('boot_command_line'))
    if (initrd) {
      const words = new Uint32Array(this.memory.buffer)
      words[address('initrd_start') >>> 2] = initrd[0]
      words[address('initrd_end') >>> 2] = initrd[1]
    }
    this.host.postMessage({ kind: 'timer', irqWords: address('wasm_cpu_irq') })
    this.exports._start()
  }

  /** Run the task's user program; `clone`: as a clone's child. Returns only by exceptions. */
  runUser(clone) {
    for (;;) {
      try {
        this.user = new UserProgram(this)
        this.user.enter(clone)
        this.exports.raise_exception() // a program has no right to return
      } catch (error) {
        if (error instanceof WebAssembly.RuntimeError) this.exports.raise_exception()
        if (!(error instanceof ProgramReplaced)) throw error
        clone = 0
      }
    }
  }

  /** All of guest memory as it is now. */
  bytes() {
    return new Uint8Array(this.memory.buffer)
  }

  /** The C string at an address. */
  string(pointer) {
    const bytes = this.bytes()
    const end = bytes.indexOf(0, pointer >>> 0)
    return Buffer.from(bytes.slice(pointer >>> 0, end)).toString()
  }

  /** End the machine with an exit status; the caller never runs again. */
  end(status) {
    this.host.postMessage({ kind: 'end', status })
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  }

  /** Hand a new task to an idle worker, asking for one more if that was the last. */
  post(...job) {
    if (this.shared.post(...job)) this.host.postMessage({ kind: 'worker' })
  }
}

// The host calls, by the name of the import; `this` is the KernelTask.
const calls = {
  wasm_start_cpu(cpu, idle, stack) {
    this.post(JOB.secondary, idle, stack)
  },
  wasm_stop_cpu() {},
  wasm_create_and_run_task(previous, task, name, start, end, data, table) {
    this.post(JOB.task, previous, task, start, end, data, table)
    return this.shared.sleep(previous)
  },
  wasm_serialize_tasks(previous, next) {
    this.shared.resume(next, previous)
    return this.shared.sleep(previous)
  },
  wasm_release_task(task) {
    this.shared.release(task)
  },
  wasm_load_executable(start, end, data, table) {
    // The old program's memory goes away before the new one is entered: compile it now.
    this.image = [start, end, data, table]
    UserProgram.module(this)
  },
  wasm_user_mode_tail(flow) {
    if (flow === -1) throw new ProgramReplaced()
    if (flow & 2) throw new HandlerLeft(Boolean(flow & 1))
    if (flow & 1) this.user.handleSignals()
  },
  wasm_timer_program(cpu, expiry) {
    this.shared.program(cpu, expiry)
  },
  wasm_cpu_clock_get_monotonic() {
    return process.hrtime.bigint()
  },
  wasm_driver_hvc_put(buffer, count) {
    writeSync(1, this.bytes().slice(buffer >>> 0, (buffer >>> 0) + count))
    return count
  },
  wasm_driver_hvc_get() {
    return 0
  },
  wasm_cpu_yield() {},
  wasm_console_winsize() {
    return 0
  },
  wasm_stack_save() {
    return 0
  },
  wasm_dump_stacktrace(buffer) {
    this.bytes()[buffer >>> 0] = 0
  },
  wasm_dump_task() {
    return 0
  },
  wasm_panic(message) {
    writeSync(2, `v8 host: panic: ${this.string(message)}\n`)
    this.end(1)
  },
  wasm_machine_stop(how, command) {
    const text = command ? this.string(command) : ''
    this.end(text.startsWith('exit=') ? Number(text.slice(5)) & 255 : 0)
  },
}
