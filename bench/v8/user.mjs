// A user program in its task: a second instance over the same memory, wired to the kernel's.

import { createHash } from 'node:crypto'

const TABLE_ENTRIES = 4096

/** Thrown by execve: the old program's stack is to be dropped. */
export class ProgramReplaced extends Error {}

/** Thrown by rt_sigreturn: unwind to the call of the handler. `again`: a next signal is there. */
export class HandlerLeft extends Error {
  constructor(again) {
    super()
    this.again = again
  }
}

const modules = new Map() // compiled programs by the hash of their file

export class UserProgram {
  /** Instantiate the program that the kernel has loaded for the task. */
  constructor(task) {
    this.task = task
    const [, , data, table] = task.image
    const constant = (value) => new WebAssembly.Global({ value: 'i32', mutable: false }, value)
    this.stackPointer = new WebAssembly.Global(
      { value: 'i32', mutable: true },
      task.exports.get_user_stack_pointer(),
    )
    const env = {
      memory: task.memory,
      __memory_base: constant(data),
      __table_base: constant(table),
      __stack_pointer: this.stackPointer,
      __indirect_function_table: new WebAssembly.Table({
        initial: TABLE_ENTRIES,
        element: 'anyfunc',
      }),
      __wasm_abort() {
        throw new WebAssembly.RuntimeError('abort')
      },
    }
    for (let count = 0; count <= 6; count++) {
      env[`__wasm_syscall_${count}`] = task.exports[`wasm_syscall_${count}`]
    }
    this.exports = new WebAssembly.Instance(UserProgram.module(task), { env }).exports
  }

  /** The compiled module of the task's program. */
  static module(task) {
    const [start, end] = task.image
    const bytes = task.bytes().slice(start >>> 0, end >>> 0)
    const hash = createHash('sha1').update(bytes).digest('hex')
    if (!modules.has(hash)) modules.set(hash, new WebAssembly.Module(bytes))
    return modules.get(hash)
  }

  /** Run from the program's start, or as the child of a clone. */
  enter(clone) {
    if (clone) {
      this.exports.__set_tls_base?.(this.task.exports.get_user_tls_base())
      this.exports.__libc_clone_callback()
      return
    }
    this.exports.__wasm_apply_data_relocs?.()
    this.exports.__wasm_call_ctors?.()
    this.exports._start()
  }

  /** Call the handlers of the signals that the kernel has set up, one after the other. */
  handleSignals() {
    for (let again = true; again;) {
      this.restoreRegisters()
      try {
        this.exports.__libc_handle_signal()
        throw new WebAssembly.RuntimeError('a signal handler returned without rt_sigreturn')
      } catch (error) {
        if (!(error instanceof HandlerLeft)) throw error
        again = error.again
      }
    }
    this.restoreRegisters()
  }

  restoreRegisters() {
    this.stackPointer.value = this.task.exports.get_user_stack_pointer()
    this.exports.__set_tls_base?.(this.task.exports.get_user_tls_base())
  }
}
