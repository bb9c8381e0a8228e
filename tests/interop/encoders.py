"""Loads plain and encrypted encoders with Python's transformers and compares what they compute.

An independent check: Unseen encrypts, and says how ids map and which matrix undoes each output; everything else is torch.
It also holds Unseen's own reference implementation against transformers.
Usage: python encoders.py [--json] [MODEL_DIRECTORY ...]     (see README.md beside this file)
Without directories: a tiny random checkpoint of every class that has a table, and the real models of the test data.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# A script beside this one has the name of a package that this one imports.
sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]

import torch  # noqa: E402
import transformers  # noqa: E402
from transformers.utils import logging  # noqa: E402

logging.disable_progress_bar()
logging.set_verbosity_error()

ROOT = Path(__file__).resolve().parents[2]
NODE = os.environ.get("NODE", str(ROOT / "node_modules" / ".bin" / "node"))
SCRIPT = ROOT / "tests" / "interop" / "encoders.ts"
TEST_DATA = Path(os.environ.get("UNSEEN_TEST_DATA", ROOT.parent / "shared"))
REAL = ["assets/sst2-distilbert", "assets/sentence-encoder"]
BAR = 1e-5  # of the largest number, float32

TEXT = dict(vocab_size=80, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=48)
DISTIL = dict(vocab_size=80, dim=32, hidden_dim=48, n_layers=2, n_heads=4, max_position_embeddings=48)
IMAGE = dict(hidden_size=48, intermediate_size=56, num_hidden_layers=2, num_attention_heads=6, image_size=16, patch_size=4)
CLIP_TEXT = dict(TEXT, projection_dim=24, bos_token_id=78, eos_token_id=79)
CLIP_IMAGE = dict(IMAGE, projection_dim=24)


def clip(**text):
    return dict(text_config={**CLIP_TEXT, **text}, vision_config=CLIP_IMAGE, projection_dim=24)


# Name: class, configuration. Every class that has a table, and settings that lead another way through it.
TINY = {
    "bert": ("BertModel", TEXT),
    "bert-classes": ("BertForSequenceClassification", dict(TEXT, num_labels=5)),
    "bert-token-classes": ("BertForTokenClassification", dict(TEXT, num_labels=4)),
    "bert-masked": ("BertForMaskedLM", TEXT),
    "bert-relu-masked": ("BertForMaskedLM", dict(TEXT, hidden_act="relu")),
    "distilbert": ("DistilBertModel", DISTIL),
    "distilbert-classes": ("DistilBertForSequenceClassification", dict(DISTIL, num_labels=3)),
    "distilbert-masked": ("DistilBertForMaskedLM", DISTIL),
    "roberta": ("RobertaModel", dict(TEXT, type_vocab_size=1)),
    "roberta-classes": ("RobertaForSequenceClassification", dict(TEXT, type_vocab_size=1, num_labels=3)),
    "roberta-masked": ("RobertaForMaskedLM", dict(TEXT, type_vocab_size=1)),
    "xlm-roberta-score": ("XLMRobertaForSequenceClassification", dict(TEXT, type_vocab_size=1, num_labels=1)),
    "mpnet": ("MPNetModel", TEXT),
    "mpnet-classes": ("MPNetForSequenceClassification", dict(TEXT, num_labels=3)),
    "mpnet-masked": ("MPNetForMaskedLM", TEXT),
    "vit": ("ViTModel", IMAGE),
    "vit-classes": ("ViTForImageClassification", dict(IMAGE, num_labels=7)),
    "vit-many-classes": ("ViTForImageClassification", dict(IMAGE, num_labels=200, qkv_bias=False)),
    "clip": ("CLIPModel", clip()),
    "clip-old-end": ("CLIPModel", clip(eos_token_id=2, bos_token_id=0, pad_token_id=1)),
    "clip-text": ("CLIPTextModel", CLIP_TEXT),
    "clip-text-projected": ("CLIPTextModelWithProjection", CLIP_TEXT),
    "clip-vision": ("CLIPVisionModel", CLIP_IMAGE),
    "clip-vision-projected": ("CLIPVisionModelWithProjection", CLIP_IMAGE),
}


def make(name, directory):
    """A tiny checkpoint in which every parameter is random, gains, biases and padding rows too."""
    class_name, settings = TINY[name]
    torch.manual_seed(sum(map(ord, name)))
    kind = getattr(transformers, class_name)
    model = kind(kind.config_class(**settings))
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            gain = parameter.dim() == 1 and "norm" in parameter_name.lower() and parameter_name.endswith("weight")
            if parameter.dim() > 0:
                parameter.copy_(torch.randn_like(parameter) / 4 + (1 if gain else 0))
    model.save_pretrained(directory)
    return directory


def typescript(*arguments):
    result = subprocess.run([NODE, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, cwd=ROOT)
    if result.returncode != 0:
        sys.exit(f"encoders.ts {arguments[0]} {arguments[1]}: {result.stderr.strip()}")
    return json.loads(result.stdout)


def load(directory):
    kind = getattr(transformers, json.loads((directory / "config.json").read_text())["architectures"][0])
    model, report = kind.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    problems = {what: sorted(names) for what, names in report.items() if names and "pooler" not in str(names)}
    return model.eval(), problems


def make_inputs(model):
    """Two texts and a picture, whichever the model takes; as keyword arguments."""
    config = model.config
    text = getattr(config, "text_config", config)
    generator = torch.Generator().manual_seed(5)
    inputs = []
    for length in (9, 17):
        values = {}
        if hasattr(text, "vocab_size"):
            last = text.vocab_size - 1
            ids = torch.randint(3, last, (1, length), generator=generator)
            if "clip" in config.model_type:
                ids[0, -1] = last  # the end token, as the tokenizer puts it
            else:
                ids[0, -2:] = text.pad_token_id or 0
                values["attention_mask"] = torch.cat([torch.ones(1, length - 2), torch.zeros(1, 2)], 1).long()
            if getattr(text, "type_vocab_size", 1) > 1:
                values["token_type_ids"] = (torch.arange(length) > length // 2).long()[None]
            values["input_ids"] = ids
        vision = getattr(config, "vision_config", config)
        if hasattr(vision, "patch_size"):
            values["pixel_values"] = torch.randn(1, vision.num_channels, vision.image_size, vision.image_size, generator=generator)
        inputs.append(values)
    return inputs


@torch.no_grad()
def outputs_of(model, values):
    result = model(**values)
    return {name: value[0].double() for name, value in result.items() if torch.is_tensor(value) and value.dim() > 1}


def relative(expected, actual):
    return ((expected - actual).abs().max() / expected.abs().max()).item()


def decipher(values, output, cipher):
    norm = output["norm"]
    plain = values - (norm["offset"] if norm else 0)
    plain = plain[..., cipher] if output["matrix"] is None else plain @ torch.tensor(output["matrix"], dtype=torch.float64)
    return plain * torch.tensor(norm["gain"]).double() + torch.tensor(norm["bias"]).double() if norm else plain


def compare_reference(directory, model, inputs, work):
    """The largest relative difference between Unseen's reference implementation and transformers."""
    names = {"input_ids": "ids", "token_type_ids": "types", "attention_mask": "mask", "pixel_values": "pixels"}
    file = work / "inputs.json"
    file.write_text(json.dumps([{names[key]: value[0].flatten().tolist() for key, value in values.items()} for values in inputs]))
    worst = 0
    for values, computed in zip(inputs, typescript("run", directory, file)):
        expected = outputs_of(model, values)
        for name, output in computed.items():
            actual = torch.tensor(output["values"], dtype=torch.float64).reshape(expected[name].shape)
            worst = max(worst, relative(expected[name], actual))
    return worst


def compare(directory, strength, work):
    plain, _ = load(directory)
    inputs = make_inputs(plain)
    output = work / f"{directory.name}-{strength}"
    said = typescript("encrypt", directory, output, strength)
    encrypted, problems = load(output)
    cipher = None if said["cipher"] is None else torch.tensor(said["cipher"])
    worst, control, names = 0, 0, []
    for values in inputs:
        enciphered = dict(values, **({"input_ids": cipher[values["input_ids"]]} if cipher is not None else {}))
        expected, actual, unread = outputs_of(plain, values), outputs_of(encrypted, enciphered), None
        for entry in said["outputs"]:
            name = entry["name"]
            worst = max(worst, relative(expected[name], decipher(actual[name], entry, cipher)))
            control = max(control, relative(expected[name], actual[name]))
            names.append(name)
        # In clear, and unchanged: cosines of a text and a picture.
        if "logits_per_image" in expected:
            worst = max(worst, relative(expected["logits_per_image"], actual["logits_per_image"]))
    return {
        "model": directory.name,
        "strength": strength,
        "outputs": sorted(set(names)),
        "difference": worst,
        # Undeciphered, the same outputs are something else.
        "undeciphered": control,
        "reference": compare_reference(directory, plain, inputs, work),
        "problems": problems,
        "holds": worst <= BAR and control > 0.1 and not problems,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(2)
    rows = []
    with tempfile.TemporaryDirectory(prefix="unseen-interop-") as home:
        work = Path(home)
        real = [TEST_DATA / name for name in REAL if (TEST_DATA / name).exists()]
        models = options.models or [make(name, work / name) for name in TINY] + real
        for directory in models:
            for strength in ("permute", "rotate"):
                rows.append(compare(directory.resolve(), strength, work))
                if not options.json:
                    show(rows[-1], header=len(rows) == 1)
    if options.json:
        print(json.dumps({"rows": rows}))
    sys.exit(0 if all(row["holds"] and row["reference"] <= BAR for row in rows) else 1)


def show(row, header):
    if header:
        print(f"{'model':24} {'strength':8} {'difference':>10} {'no key':>7} {'reference':>10}  outputs")
    print(
        f"{row['model']:24} {row['strength']:8} {row['difference']:10.1e} {row['undeciphered']:7.2f} {row['reference']:10.1e}  "
        f"{', '.join(row['outputs'])}{'' if row['holds'] else '  FAILS ' + str(row['problems'])}",
        flush=True,
    )


if __name__ == "__main__":
    main()
