// What JavaScript's WebAssembly API does not tell about a module: its imported memory's minimum.

/** Initial pages of the memory that the module imports; throws if it imports none. */
export function importedMemoryPages(bytes) {
  let at = 8 // magic number and version
  const byte = () => bytes[at++]
  const leb = () => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const next = byte()
      value += (next & 127) * 2 ** shift
      if (next < 128) return value
    }
  }
  const limits = () => {
    const flags = byte()
    const minimum = leb()
    if (flags & 1) leb()
    return minimum
  }
  const skipName = () => {
    const length = leb()
    at += length
  }
  while (at < bytes.length) {
    const section = byte()
    const end = leb() + at
    if (section !== 2) {
      at = end
      continue
    }
    for (let count = leb(); count > 0; count--) {
      skipName()
      skipName()
      switch (byte()) {
        case 0: leb(); break // function: its type
        case 1: byte(); limits(); break // table
        case 2: return limits()
        case 3: at += 2; break // global: type and mutability
        case 4: byte(); leb(); break // tag
      }
    }
    break
  }
  throw new Error('the module imports no memory')
}
