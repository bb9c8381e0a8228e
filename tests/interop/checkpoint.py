"""Compares the checkpoint readers and writers with Python's, in both directions.

Not part of `npm test`. To run it from the root of the repository:

    python3 -m venv /tmp/interop
    /tmp/interop/bin/pip install numpy torch safetensors gguf
    /tmp/interop/bin/python tests/interop/checkpoint.py

1. TypeScript encodes random and awkward numbers as F32, F16, BF16 and Q8_0 into sharded safetensors and GGUF;
   Python must read them and find, bit for bit, what numpy, torch and gguf-py make of the same numbers.
2. Python writes safetensors and GGUF; TypeScript must see the same names, types, shapes, metadata and bytes.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy
import torch
from safetensors import safe_open
from safetensors.torch import save_file

COLUMNS = 256
ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "interop" / "checkpoint.ts"
NODE = os.environ.get("NODE", str(ROOT / "node_modules" / ".bin" / "node"))


def typescript(command, path):
    return subprocess.run([NODE, str(SCRIPT), command, str(path)], check=True, capture_output=True, text=True, cwd=ROOT).stdout


def check(what, condition):
    print(("ok      " if condition else "FAILED  ") + what)
    if not condition:
        sys.exit(1)


def sample_values():
    """(rows, columns) numbers that float32 holds: gaussians, halfway cases of every format, zeros, tiny and large ones."""
    generator = numpy.random.default_rng(7)
    gaussian = generator.standard_normal((1024, COLUMNS))
    spread = generator.standard_normal((512, COLUMNS)) * 2.0 ** generator.integers(-24, 15, (512, COLUMNS))
    halves = generator.integers(-254, 255, (256, COLUMNS)) / 2
    halves[:, ::32] = 127
    ties = (generator.integers(2048, 4096, (252, COLUMNS)) + 0.5) / 1024
    tiny = generator.standard_normal((2, COLUMNS)) * 1e-7
    zeros = numpy.zeros((2, COLUMNS))
    return numpy.concatenate([gaussian, spread, halves, ties, tiny, zeros]).astype(numpy.float32).astype(numpy.float64)


def python_reads_typescript(directory):
    values = sample_values()
    values.tofile(directory / "values.f64")
    typescript("write", directory)
    single = values.astype(numpy.float32)
    expected = {
        "t.F32": torch.from_numpy(single),
        "t.F16": torch.from_numpy(values.astype(numpy.float16)),
        "t.BF16": torch.from_numpy(single).to(torch.bfloat16),
    }
    index = json.loads((directory / "model.safetensors.index.json").read_text())
    check("safetensors: the index names two shards", len(set(index["weight_map"].values())) == 2)
    for name, file in index["weight_map"].items():
        with safe_open(directory / file, framework="pt") as shard:
            same = torch.equal(shard.get_tensor(name).view(torch.uint8), expected[name].view(torch.uint8))
            check(f"safetensors: {name} is what torch rounds to, and the metadata is there", same and shard.metadata() == {"format": "pt"})

    reader = gguf.GGUFReader(directory / "model.gguf")
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    for name, tensor in expected.items():
        check(f"GGUF: {name} is what torch rounds to", tensors[name].data.tobytes() == tensor.view(torch.uint8).numpy().tobytes())
    quantised = gguf.quants.quantize(single, gguf.GGMLQuantizationType.Q8_0)
    check(f"GGUF: Q8_0 of {values.size} weights is byte for byte that of gguf.quants", tensors["t.Q8_0"].data.tobytes() == quantised.tobytes())
    check("GGUF: dimensions are innermost first", list(tensors["t.cube"].shape) == [COLUMNS, len(values) // 2, 2])
    found = {key: field.contents() for key, field in reader.fields.items() if key.startswith("a.")}
    check("GGUF: metadata", found == {"a.u8": 200, "a.i64": -(2**40), "a.f64": 0.1, "a.bool": True, "a.strings": ["", "▁x", "🙂"], "a.floats": [0.5, -1.0]})


def typescript_reads_python(directory):
    tensors = {
        "a": torch.randn(3, 5).to(torch.bfloat16),
        "b": torch.randn(7),
        "c": torch.randn(2, 3, 4).half(),
        "d": torch.tensor(3, dtype=torch.int64),
        "e": torch.zeros(0, 4),
        "f": torch.randn(4, 4).to(torch.float8_e4m3fn),
        "ü.weight": torch.ones(2, dtype=torch.bool),
    }
    names = {torch.bfloat16: "BF16", torch.float32: "F32", torch.float16: "F16", torch.int64: "I64", torch.float8_e4m3fn: "F8_E4M3", torch.bool: "BOOL"}
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    seen = {tensor["name"]: tensor for tensor in json.loads(typescript("read", directory / "model.safetensors"))["tensors"]}
    for name, tensor in tensors.items():
        content = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
        same = seen[name]["format"] == names[tensor.dtype] and seen[name]["shape"] == list(tensor.shape) and seen[name]["sha256"] == hashlib.sha256(content).hexdigest()
        check(f"TypeScript reads Python's safetensors tensor {name}", same)

    writer = gguf.GGUFWriter(directory / "python.gguf", "llama")
    writer.add_custom_alignment(64)
    writer.add_uint32("k.u32", 7)
    writer.add_int64("k.i64", -7)
    writer.add_bool("k.bool", False)
    writer.add_string("k.string", "ü\n")
    writer.add_array("k.tokens", ["a", "▁b"])
    writer.add_array("k.numbers", [1, -2])
    matrix = numpy.random.default_rng(1).standard_normal((6, 512)).astype(numpy.float32)
    stored = {"w.F32": matrix, "w.F16": matrix.astype(numpy.float16)}
    for name, array in stored.items():
        writer.add_tensor(name, array)
    for kind in (gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.BF16, gguf.GGMLQuantizationType.Q4_0):
        stored[f"w.{kind.name}"] = gguf.quants.quantize(matrix, kind)
        writer.add_tensor(f"w.{kind.name}", stored[f"w.{kind.name}"], raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    answer = json.loads(typescript("read", directory / "python.gguf"))
    seen = {tensor["name"]: tensor for tensor in answer["tensors"]}
    for name, array in stored.items():
        same = seen[name]["shape"] == [6, 512] and seen[name]["sha256"] == hashlib.sha256(array.tobytes()).hexdigest()
        check(f"TypeScript reads Python's GGUF tensor {name} as {seen[name]['format']}", same)
    metadata = [entry for entry in answer["metadata"] if entry[0].startswith("k.")]
    expected = [
        ["k.u32", "u32", 7],
        ["k.i64", "i64", -7],
        ["k.bool", "bool", False],
        ["k.string", "string", "ü\n"],
        ["k.tokens", "array string", ["a", "▁b"]],
        ["k.numbers", "array i32", [1, -2]],
    ]
    check("TypeScript reads Python's GGUF metadata", metadata == expected)


with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
    python_reads_typescript(Path(first))
    typescript_reads_python(Path(second))
print("Both directions agree.")
