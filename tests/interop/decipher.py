"""Runs encrypted encoders with Python's transformers, and nothing of Unseen but its command line at home.

`unseen encrypt`, `unseen encipher` a file of inputs, transformers or ONNX Runtime on the files that may leave, `unseen decipher` a
file of outputs; the result must be that of the plain model. The same again after `unseen rekey`.
Usage: python decipher.py [--json] [MODEL ...]     (directories or .onnx files; see README.md beside this file)
Without models: a tiny random checkpoint of every class that has a table, and the real models of the test data.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SPECIFICATION = importlib.util.spec_from_file_location("encoders", Path(__file__).resolve().parent / "encoders.py")
encoders = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(encoders)  # also keeps this directory's transformers.py from hiding the package

import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

PROGRAM = encoders.ROOT / "packages" / "unseen" / "bin" / "unseen.js"
REAL = ["assets/sst2-distilbert", "assets/sentence-encoder", "assets/sst2-distilbert/onnx/model.onnx", "assets/sentence-encoder/onnx/model.onnx"]


def unseen(home, *arguments):
    """Runs one command and gives its JSON object."""
    environment = {**os.environ, "UNSEEN_HOME": str(home)}
    result = subprocess.run([encoders.NODE, PROGRAM, *map(str, arguments), "--json"], env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"unseen {arguments[0]} ended with {result.returncode}: {result.stderr.strip()}")
    return json.loads(result.stdout)


@torch.no_grad()
def run_directory(directory):
    model, problems = encoders.load(directory)
    if problems:
        sys.exit(f"{directory}: {problems}")
    return lambda values: {name: value for name, value in model(**values).items() if torch.is_tensor(value) and value.dim() > 0}


def run_onnx(file):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda values: dict(zip(names, map(torch.tensor, session.run(None, {name: value.numpy() for name, value in values.items()}))))


def make_inputs(model):
    if model.suffix != ".onnx":
        plain, _ = encoders.load(model)
        return encoders.make_inputs(plain)
    plain, _ = encoders.load(model.parent.parent)
    import onnxruntime

    taken = {value.name for value in onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"]).get_inputs()}
    return [{name: value for name, value in values.items() if name in taken} for values in encoders.make_inputs(plain)]


def through(home, name, run, values, work):
    """The deciphered outputs of one run, and the undeciphered ones."""
    for file in work.glob("*.safetensors"):
        file.unlink()
    save_file({key: value.contiguous() for key, value in values.items()}, work / "in.safetensors")
    unseen(home, "encipher", work / "in.safetensors", "--model", name)
    with torch.no_grad():
        outputs = run(load_file(work / "in.cipher.safetensors"))
    outputs = {key: value.contiguous() for key, value in outputs.items() if not key.startswith("logits_per_")}
    save_file(outputs, work / "out.safetensors")
    unseen(home, "decipher", work / "out.safetensors", "--model", name)
    return load_file(work / "out.plain.safetensors"), outputs


def compare(model, strength, home, work):
    loader = run_onnx if model.suffix == ".onnx" else run_directory
    label = model.parent.parent.name + ".onnx" if model.suffix == ".onnx" else model.name
    name = f"{label}-{strength}"
    output = work / (name + model.suffix)
    unseen(home, "encrypt", model, "--out", output, "--name", name, "--strength", strength, "--no-measure")
    ways = {"encrypted": (name, loader(output))}
    if model.suffix != ".onnx":
        unseen(home, "rekey", output, "--to", "other", "--out", f"{output}-moved", "--name", f"{name}-moved")
        ways["rekeyed"] = (f"{name}-moved", loader(Path(f"{output}-moved")))
    plain = loader(model)
    row = {"model": label, "strength": strength, "encrypted": 0, "rekeyed": 0, "undeciphered": 0}
    for values in make_inputs(model):
        with torch.no_grad():
            expected = plain(values)
        for way, (bundle, run) in ways.items():
            deciphered, said = through(home, bundle, run, values, work)
            for key, value in deciphered.items():
                if value.dtype != torch.float32 or value.shape != expected[key].shape:
                    sys.exit(f"{name}: {key} is {value.dtype} {tuple(value.shape)}, expected float32 {tuple(expected[key].shape)}")
                row[way] = max(row[way], encoders.relative(expected[key].double(), value.double()))
                row["undeciphered"] = max(row["undeciphered"], encoders.relative(expected[key].double(), said[key].double()))
    row["holds"] = max(row["encrypted"], row["rekeyed"]) <= encoders.BAR and row["undeciphered"] > 0.1
    return row


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(2)
    rows = []
    with tempfile.TemporaryDirectory(prefix="unseen-interop-") as place:
        home, work = Path(place) / "home", Path(place) / "work"
        work.mkdir()
        unseen(home, "key", "new")
        unseen(home, "key", "new", "other")
        real = [encoders.TEST_DATA / name for name in REAL if (encoders.TEST_DATA / name).exists()]
        models = options.models or [encoders.make(name, work / name) for name in encoders.TINY] + real
        for model in models:
            for strength in ("permute", "rotate"):
                rows.append(compare(model.resolve(), strength, home, work))
                if not options.json:
                    show(rows[-1], header=len(rows) == 1)
    if options.json:
        print(json.dumps({"rows": rows}))
    sys.exit(0 if all(row["holds"] for row in rows) else 1)


def show(row, header):
    if header:
        print(f"{'model':24} {'strength':8} {'encrypted':>10} {'rekeyed':>10} {'no key':>7}")
    print(
        f"{row['model']:24} {row['strength']:8} {row['encrypted']:10.1e} {row['rekeyed']:10.1e} {row['undeciphered']:7.2f}{'' if row['holds'] else '  FAILS'}",
        flush=True,
    )


if __name__ == "__main__":
    main()
