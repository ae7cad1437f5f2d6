"""Models that write beside what they read: which padding is whose, and which token is next."""

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoConfig, AutoModelForSeq2SeqLM

from distill_lab import methods
from distill_lab.data.batches import Batch
from distill_lab.evaluation import compare, headroom
from distill_lab.losses import hint_loss
from distill_lab.models.networks import logits_of
from distill_lab.teachers import cache, freeze, keep
from distill_lab.training import distill

ROWS, WORDS = 4, 40
SIZES = {
    "t5": {"d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 2, "num_heads": 2, "dropout_rate": 0},
    "bart": {"d_model": 8, "max_position_embeddings": 20, "dropout": 0.0}
    | {f"{side}_{name}": n for side in ("encoder", "decoder") for name, n in (("layers", 2),)}
    | {f"{side}_attention_heads": 2 for side in ("encoder", "decoder")}
    | {f"{side}_ffn_dim": 16 for side in ("encoder", "decoder")},
}
SIZES["pegasus"] = SIZES["bart"]
LAYERS = {
    "t5": ("encoder.block.1", "decoder.block.1"),
    "bart": ("model.encoder.layers.1", "model.decoder.layers.1"),
    "pegasus": ("model.encoder.layers.1", "model.decoder.layers.1"),
}
ENDS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 0}


def made(family, seed):
    torch.manual_seed(seed)
    config = AutoConfig.for_model(family, vocab_size=WORDS, **SIZES[family], **ENDS)
    return AutoModelForSeq2SeqLM.from_config(config)


def texts(read=6, written=6):
    """What is read, padded on the right, and what is written, padded otherwise."""
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(5, WORDS, (ROWS, read), generator=draw)
    mask = (torch.arange(read) < torch.tensor([[read], [2], [3], [2]])).long()
    labels = torch.randint(5, WORDS, (ROWS, written), generator=draw)
    labels[2, 4:] = -100
    before = torch.zeros_like(labels)
    before[:, 1:] = labels[:, :-1].clamp_min(0)
    inputs = {"input_ids": ids * mask, "attention_mask": mask, "decoder_input_ids": before}
    return inputs, labels


@pytest.mark.parametrize("family", SIZES)
@pytest.mark.parametrize("read", [6, 9])
def test_answers_stand_where_the_decoder_reads(family, read, tmp_path):
    """As long as the source, they are not padded as it is."""
    student, teacher = made(family, 1), freeze(made(family, 2))
    inputs, labels = data = texts(read)
    batch = Batch(inputs, labels, torch.arange(ROWS))
    kept = labels != -100
    with torch.no_grad():
        terms = methods.kd(T=1.0, alpha=0.5).terms(batch, student.eval(), teacher)
        s, t = (model(**inputs).logits for model in (student, teacher.model))
        expected = F.kl_div(
            s[kept].log_softmax(-1), t[kept].softmax(-1), reduction="batchmean"
        ).item()
        nll = [F.cross_entropy(z[kept], labels[kept]).item() for z in (t, s)]
    assert terms["kd"].item() == pytest.approx(expected, rel=1e-4)
    assert terms["ce"].item() == pytest.approx(nll[1], rel=1e-4)
    report = compare({"t": teacher, "s": student}, data, teacher="t", columns=["nll"])
    assert [row.nll for row in report.rows] == pytest.approx(nll, rel=1e-4)
    room = headroom(teacher, student, data)
    assert (room.units, room.teacher_nll) == (int(kept.sum()), pytest.approx(nll[0], rel=1e-4))
    settings = {"method": methods.kd(T=2.0), "steps": 2, "batch_size": 2, "progress": False}
    cached = cache(teacher, data, tmp_path, signal=keep.top_k(WORDS, T=2.0))
    live, kept_answers = (
        distill(made(family, 1), data, teacher=who, **settings)["kd"] for who in (teacher, cached)
    )
    assert live == pytest.approx(kept_answers, rel=2e-2)


@pytest.mark.parametrize("family", SIZES)
@pytest.mark.parametrize("side", [0, 1])
def test_features_are_masked_as_what_their_side_reads(family, side):
    path = LAYERS[family][side]
    student, teacher = made(family, 1).eval(), freeze(made(family, 2))
    inputs, labels = texts(9)
    batch = Batch(inputs, labels, torch.arange(ROWS))

    def first(output):
        return output if isinstance(output, torch.Tensor) else output[0]

    def hint(batch, **options):
        method = methods.match_features(
            "hint", hint_loss, [(path, path)], weight=1.0, read=first, **options
        )
        value = method.terms(batch, student, teacher)["hint"]
        return value.item(), method.counts(batch)["hint"]

    seen = []
    for model in (student, teacher.model):
        hook = model.get_submodule(path).register_forward_hook(
            lambda module, args, output: seen.append(first(output))
        )
        with torch.no_grad():
            model(**inputs)
        hook.remove()
    kept = inputs["attention_mask"] == 1 if side == 0 else labels != -100
    expected = F.mse_loss(*(features[kept] for features in seen)).item()
    assert hint(batch) == (pytest.approx(expected, rel=1e-4), int(kept.sum()))
    # where nothing tells the two sides apart, neither is guessed
    alike = Batch(*texts(6), torch.arange(ROWS))
    with pytest.raises(ValueError, match="may be of the text that is read or of the one that is w"):
        hint(alike)
    assert hint(alike, mask=None)[0] > 0


@pytest.mark.parametrize("family", SIZES)
def test_what_a_decoder_reads_has_to_be_given(family):
    """BART would take the source for it, and with as many labels nobody would notice."""
    inputs, labels = texts()
    alone = {name: part for name, part in inputs.items() if name != "decoder_input_ids"}
    with pytest.raises(
        ValueError, match=r"put decoder_input_ids beside them, as model\.prepare_de"
    ):
        logits_of(made(family, 0), alone)
    settings = {"teacher": freeze(made(family, 1)), "steps": 1, "progress": False}
    with pytest.raises(ValueError, match="put decoder_input_ids beside them"):
        distill(made(family, 0), (alone, labels), method=methods.kd(), **settings)


def test_labels_of_a_decoder_are_not_shifted_again():
    inputs, labels = texts()
    settings = {"teacher": freeze(made("t5", 1)), "steps": 1, "progress": False}
    with pytest.raises(ValueError, match=r"are not shifted: .* by methods.kd\(\)"):
        distill(made("t5", 0), (inputs, labels), method=methods.tokens(), **settings)
    with pytest.raises(ValueError, match="measure it with task='tagging'"):
        headroom(made("t5", 0), made("t5", 1), (inputs, labels), task="language")
