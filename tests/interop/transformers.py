"""Loads plain and encrypted Hugging Face directories with Python's transformers and compares what they compute.

An independent check: nothing of Unseen runs here but its command line, which encrypts and says how ids map.
Usage: python transformers.py [--json] [MODEL_DIRECTORY ...]     (see README.md beside this file)
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# This file has the name of the package that it imports.
sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]

import torch  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402
from transformers.utils import logging  # noqa: E402

logging.disable_progress_bar()

ROOT = Path(__file__).resolve().parents[2]
NODE = ROOT / "node_modules" / ".bin" / "node"
PROGRAM = ROOT / "packages" / "unseen" / "bin" / "unseen.js"
STORY_LLAMA = ROOT / "packages" / "unseen" / "models" / "story-llama"
TEST_DATA = Path(os.environ.get("UNSEEN_TEST_DATA", ROOT.parent / "shared"))
GREEDY_TOKENS = 24
SEQUENCES = 2
POSITIONS = 24


def unseen(home, *arguments):
    """Runs one command and gives its JSON object."""
    environment = {**os.environ, "UNSEEN_HOME": str(home)}
    result = subprocess.run([NODE, PROGRAM, *map(str, arguments), "--json"], env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"unseen {arguments[0]} ended with {result.returncode}: {result.stderr.strip()}")
    return json.loads(result.stdout)


def load(directory):
    # Gemma 2's cap on attention scores exists in the eager kernel alone.
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()


@torch.no_grad()
def logits(model, ids):
    return model(input_ids=ids).logits.double()  # (sequences, positions, vocabulary)


@torch.no_grad()
def greedy(model, ids):
    """Continues beyond any end token, so that both models say equally much."""
    past = ids
    for _ in range(GREEDY_TOKENS):
        last = model(input_ids=past).logits[:, -1].double()
        past = torch.cat([past, last.argmax(-1, keepdim=True)], dim=1)
    return past[:, ids.shape[1] :]


def compare(directory, strength, home, precision=None):
    """One row: the encrypted model's logits and greedy ids, deciphered, against the plain model's."""
    name = f"{directory.name}-{strength}-{precision or 'own'}"
    output = Path(home) / "out" / name
    flags = ["--precision", precision] if precision else []
    unseen(home, "encrypt", directory, "--out", output, "--name", name, "--strength", strength, "--no-measure", *flags)
    plain = load(directory)
    size = plain.config.get_text_config().vocab_size
    every = ",".join(map(str, range(size)))
    cipher = torch.tensor(unseen(home, "encode", "--model", name, "--ids", every)["cipher"])  # (vocabulary): plain id -> cipher id
    encrypted = load(output)

    generator = torch.Generator().manual_seed(7)
    ids = torch.randint(0, size, (SEQUENCES, POSITIONS), generator=generator)
    expected = logits(plain, ids)
    actual = logits(encrypted, cipher[ids])[:, :, cipher]
    undeciphered = logits(encrypted, ids)
    said = greedy(plain, ids)
    answer = greedy(encrypted, cipher[ids])
    difference = (expected - actual).abs().max().item()
    equal = (cipher[said] == answer).sum().item()
    lossless = strength == "permute" or precision == "f32" or stored_as_float32(directory)
    bar = 1e-3 if lossless else None  # rounded weights: the figure is the result
    return {
        "model": directory.name + (f" as {precision}" if precision else ""),
        "strength": strength,
        "maxLogitDifference": difference,
        "bar": bar,
        "greedyEqual": equal,
        "greedyTokens": said.numel(),
        "argmaxAgreement": (expected.argmax(-1) == actual.argmax(-1)).double().mean().item(),
        # Without the key the same model says something else.
        "undecipheredAgreement": (expected.argmax(-1) == undeciphered.argmax(-1)).double().mean().item(),
        "logitRange": (expected.max() - expected.min()).item(),
        "holds": difference <= bar and equal == said.numel() if lossless else difference < 1,
    }


def stored_as_float32(directory):
    config = json.loads((directory / "config.json").read_text())
    return (config.get("dtype") or config.get("torch_dtype") or "float32") == "float32"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(2)
    families = sorted((TEST_DATA / "data/models/families").glob("*/config.json"))
    stories = [TEST_DATA / "data/models/stories260K-hf"] if (TEST_DATA / "data/models/stories260K-hf").exists() else []
    models = options.models or [path.parent for path in families] + stories + [STORY_LLAMA]
    rows = []
    with tempfile.TemporaryDirectory(prefix="unseen-interop-") as home:
        for directory in models:
            for strength in ("permute", "rotate"):
                for precision in (None,) if stored_as_float32(directory) else (None, "f32"):
                    rows.append(compare(directory.resolve(), strength, home, precision))
                    if not options.json:
                        show(rows[-1], header=len(rows) == 1)
    if options.json:
        print(json.dumps({"rows": rows}))
    sys.exit(0 if all(row["holds"] for row in rows) else 1)


def show(row, header):
    if header:
        print(f"{'model':24} {'strength':8} {'max |Δlogit|':>13} {'logit range':>12} {'argmax':>7} {'greedy ids':>12} {'no key':>7}")
    print(
        f"{row['model']:24} {row['strength']:8} {row['maxLogitDifference']:13.1e} {row['logitRange']:12.1f} {row['argmaxAgreement']:7.1%} "
        f"{row['greedyEqual']:5d}/{row['greedyTokens']:<6d} {row['undecipheredAgreement']:7.1%}{'' if row['holds'] else '  FAILS'}",
        flush=True,
    )


if __name__ == "__main__":
    main()
