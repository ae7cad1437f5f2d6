"""Models of many families, each as student and as teacher, against plain PyTorch.

Families differ in how they count positions, lay out features, name their sizes and tie weights.
"""

import copy

import peft
import pytest
import torch
import torch.nn.functional as F
import transformers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from distill_lab import methods
from distill_lab.data.batches import Batch
from distill_lab.jobs.setups.encoders import AutoEncoder, new_student, sizes_of, student_config
from distill_lab.losses import hint_loss
from distill_lab.models import Embedder, from_teacher
from distill_lab.models.networks import logits_of
from distill_lab.models.positions import positions_of
from distill_lab.models.projections import Regressor
from distill_lab.teachers import freeze
from distill_lab.training import distill

ROWS, LENGTH, WORDS, PAD = 3, 10, 40, 1
ENDS = {"pad_token_id": PAD, "bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3}
SIZES = {
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 20,
    "initializer_range": 0.3,
}
# What differs from `SIZES`, by model_type; None takes a size out.
ENCODERS = {
    "albert": {"embedding_size": 4},
    "bert": {},
    "big_bird": {"attention_type": "original_full"},
    "camembert": {},
    "convbert": {"embedding_size": 8},
    "data2vec-text": {},
    "deberta": {},
    "deberta-v2": {"relative_attention": True, "position_buckets": 4},
    "distilbert": {"intermediate_size": None, "hidden_dim": 16},
    "electra": {"embedding_size": 4},
    "ernie": {},
    "esm": {"position_embedding_type": "absolute", "mask_token_id": 4},
    "flaubert": {"hidden_size": None, "emb_dim": 8, "pad_index": PAD},
    "fnet": {},
    "funnel": {
        "num_hidden_layers": None,
        "block_sizes": [1, 1],
        "d_head": 4,
        "intermediate_size": None,
        "d_inner": 16,
        "initializer_std": 0.3,
    },
    "ibert": {},
    "longformer": {"attention_window": 4},
    "luke": {"entity_vocab_size": 4, "entity_emb_size": 4},
    "mobilebert": {"embedding_size": 8, "intra_bottleneck_size": 4, "true_hidden_size": 4},
    "modernbert": {"cls_token_id": 2},
    "mpnet": {},
    "nomic_bert": {},
    "rembert": {"input_embedding_size": 4},
    "roberta": {},
    "roformer": {},
    "squeezebert": {"embedding_size": 8},
    "xlm": {"hidden_size": None, "emb_dim": 8, "pad_index": PAD},
    "xlm-roberta": {},
    "xlnet": {
        "max_position_embeddings": None,
        "intermediate_size": None,
        "d_head": 4,
        "d_inner": 16,
    },
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8}
GROUPED = {"num_key_value_heads": 1, "head_dim": 4}
DECODERS = {
    "biogpt": {},
    "bloom": {"max_position_embeddings": None, "intermediate_size": None},
    "falcon": {"intermediate_size": None},
    "gemma": GROUPED,
    "gemma2": GROUPED | {"sliding_window": 4},
    "gemma3_text": GROUPED | {"sliding_window": 4},
    "gpt2": {"intermediate_size": None},
    "gpt_neo": {
        "num_hidden_layers": None,
        "num_attention_heads": None,
        "num_layers": 2,
        "num_heads": 2,
        "attention_types": [[["global", "local"], 1]],
        "window_size": 4,
    },
    "gpt_neox": {},
    "granite": {"num_key_value_heads": 1, "logits_scaling": 2.0},
    "llama": {"num_key_value_heads": 1},
    "mamba": {
        "num_attention_heads": None,
        "max_position_embeddings": None,
        "intermediate_size": None,
        "state_size": 4,
    },
    "mistral": {"num_key_value_heads": 1, "sliding_window": 4},
    "mixtral": {"num_key_value_heads": 1, "num_local_experts": 4},
    "olmo2": {"num_key_value_heads": 1},
    "opt": {"intermediate_size": None, "ffn_dim": 16, "word_embed_proj_dim": 8},
    "phi": {},
    "phi3": {"num_key_value_heads": 1},
    "qwen2": {"num_key_value_heads": 1},
    "qwen3": GROUPED,
    "qwen3_moe": GROUPED | EXPERTS,
    "smollm3": {"num_key_value_heads": 1},
    "stablelm": {"num_key_value_heads": 1},
    "starcoder2": {"num_key_value_heads": 1},
}
NO_LIMIT = {"deberta-v2", "funnel", "modernbert", "nomic_bert", "xlnet", "deberta"}


def config_of(family, **more):
    """A tiny configuration without dropout."""
    own = ENCODERS.get(family, DECODERS.get(family))
    named = {k: v for k, v in {**SIZES, **ENDS, **own, **more}.items() if v is not None}
    config = AutoConfig.for_model(family, vocab_size=WORDS, num_labels=3, **named)
    for name, value in config.to_dict().items():
        if "drop" in name and isinstance(value, float):
            setattr(config, name, 0.0)
    return config


def made(family, seed=0, **more):
    kind = AutoModelForSequenceClassification if family in ENCODERS else AutoModelForCausalLM
    torch.manual_seed(seed)
    return kind.from_config(config_of(family, **more))


def texts(rows=ROWS, length=LENGTH):
    ids = torch.randint(5, WORDS, (rows, length), generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(length) < torch.tensor([[length], [length - 3], [length - 6]])).long()
    return {"input_ids": ids.masked_fill(mask == 0, PAD), "attention_mask": mask}


def on_the_left(inputs):
    """The same texts with their padding in front of them."""
    order = inputs["attention_mask"].argsort(dim=1, stable=True)
    return {name: part.gather(1, order) for name, part in inputs.items()}


def by_hand(student, teacher, inputs, labels):
    """One loss and its gradients, in plain PyTorch: tokens where labels are (B, L)."""
    student.train()
    with torch.no_grad():
        t = teacher(**inputs).logits.float()
    s = student(**inputs).logits.float()
    if labels.dim() == 2:
        kept = (labels[:, 1:] != -100) & (inputs["attention_mask"][:, :-1] == 1)
        s, t, labels = s[:, :-1][kept], t[:, :-1][kept], labels[:, 1:][kept]
    kl = F.kl_div((s / 2).log_softmax(-1), (t / 2).softmax(-1), reduction="batchmean")
    loss = 0.7 * 4 * kl + 0.3 * F.cross_entropy(s, labels)
    loss.backward()
    return loss.item(), {n: p.grad for n, p in student.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("family", [*ENCODERS, *DECODERS])
def test_a_step_is_that_of_a_loop_by_hand(family):
    is_that_by_hand(family, texts())


@pytest.mark.parametrize("family", DECODERS)
def test_padding_on_the_left_moves_no_token(family):
    """GPT-2 and others count places from the first one, padding or not."""
    is_that_by_hand(family, on_the_left(texts()))


def is_that_by_hand(family, given):
    """A step on texts padded anywhere is one by hand on texts padded on the right."""
    student, teacher, inputs = made(family, 1), freeze(made(family, 2)), texts()
    if family in ENCODERS:
        labels, method = torch.tensor([0, 2, 1]), methods.kd(T=2.0, alpha=0.7)
    else:
        labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
        method = methods.tokens(T=2.0, alpha=0.7)
    twin = copy.deepcopy(student)
    own = labels
    if labels.dim() == 2:
        own = given["input_ids"].masked_fill(given["attention_mask"] == 0, -100)
    batch = Batch(given, own, torch.arange(ROWS))
    terms = method.terms(batch, student.train(), teacher)
    loss = sum(weight * terms[name] for name, weight in method.weights.items())
    loss.backward()
    expected, grads = by_hand(twin, teacher.model, inputs, labels)
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    ours = {n: p.grad for n, p in student.named_parameters() if p.grad is not None}
    assert ours.keys() == grads.keys()
    assert all(torch.allclose(ours[n], g, rtol=1e-3, atol=1e-5) for n, g in grads.items())


# which read padding wherever it stands: by convolutions, by Fourier's, by means of two tokens
READ_PADDING = {"convbert", "fnet", "funnel"}
READ_THE_LAST = {"xlnet"}  # all other classifiers of encoders read the first place of a text


@pytest.mark.parametrize("family", ENCODERS)
@torch.no_grad()
def test_an_encoder_reads_padding_on_the_left_as_on_the_right_or_not_at_all(family):
    """A classifier would read its padding in place of the text's first token."""
    right, left = texts(), on_the_left(texts())
    torch.manual_seed(0)
    tagger = AutoModelForTokenClassification.from_config(config_of(family)).eval()
    embedder = Embedder(tagger.base_model, "mean")
    classifier = made(family).eval()
    refused = pytest.raises(ValueError, match=r"pad them on the right, as tokenizer\.")
    for model in (tagger, embedder, classifier):
        if model is classifier and family in READ_THE_LAST:
            alone = logits_of(model, {name: part[2:, -4:] for name, part in left.items()})
            assert torch.allclose(logits_of(model, left)[2:], alone, atol=1e-5)
            continue
        if family in READ_PADDING or model is classifier:
            with refused:
                logits_of(model, left)
            continue
        ours, expected = logits_of(model, left), logits_of(model, right)
        if model is tagger:
            masks = (each["attention_mask"] == 1 for each in (left, right))
            ours, expected = (z[m] for z, m in zip((ours, expected), masks, strict=True))
        assert torch.allclose(ours, expected, rtol=1e-3, atol=1e-5)


def test_places_that_are_given_are_those_that_are_read():
    """As a packed row has them; and those of adapters, or of half numbers, are counted too."""
    model, left, right = made("gpt2").eval(), on_the_left(texts()), texts()
    kept = left["attention_mask"] == 1
    own = {**left, "position_ids": torch.arange(LENGTH).expand(ROWS, -1)}
    assert not torch.allclose(logits_of(model, own)[kept], logits_of(model, left)[kept], atol=1e-2)
    adapted = peft.get_peft_model(copy.deepcopy(model), peft.LoraConfig(r=2)).eval()
    for each, near in ((model, 1e-5), (adapted, 1e-5), (made("gpt2").eval().bfloat16(), 0.1)):
        ours, theirs = logits_of(each, left)[kept], logits_of(each, right)
        expected = theirs[right["attention_mask"] == 1]
        assert torch.allclose(ours, expected, atol=near), type(each).__name__


def test_looking_at_how_a_model_counts_changes_nothing_in_it():
    model, seen = made("gpt2").train(), []
    model.transformer.register_forward_hook(lambda *_: seen.append(1))
    before = torch.get_rng_state()
    logits_of(model, on_the_left(texts()))
    assert model.training and model.transformer.training and seen == [1]
    assert torch.equal(torch.get_rng_state(), before)  # it has no dropout


def longest(family, model):
    """The most tokens that a model takes, by trying."""
    for length in range(12, 30):
        ids = torch.full((2, length), 7)
        try:
            model(input_ids=ids, attention_mask=torch.ones_like(ids))
        except (IndexError, RuntimeError):
            return length - 1
    return None


@pytest.mark.parametrize(
    "family", ["opt", "gpt2", "biogpt", *(f for f in ENCODERS if f not in NO_LIMIT)]
)
@torch.no_grad()
def test_a_text_that_is_too_long_is_named_with_the_length_that_is_not(family):
    """RoBERTa's positions begin behind the padding's, OPT's two further on; BERT's buffers say so
    in words of sizes, and those are no matter of types.
    """
    model = made(family).eval()
    limit = longest(family, model)
    ids = torch.full((2, limit + 1), 7)
    data = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if family in ENCODERS:
        assert positions_of(model.config) == limit
    with pytest.raises(IndexError, match=rf"has {limit + 1} tokens a text .*max_length={limit}\b"):
        logits_of(model, data)
    fitting = {name: part[:, :limit] for name, part in data.items()}
    assert len(logits_of(model, fitting)) == 2


def test_sizes_that_differ_are_not_said_to_be_types():
    """A student that cannot take its own tokens is no matter of `inputs.float()`."""
    broken = made("bert")
    broken.bert.pooler.dense = torch.nn.Linear(5, 8)
    settings = {"teacher": freeze(made("bert", 1)), "steps": 1, "batch_size": 3}
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        distill(broken, (texts(), torch.tensor([0, 1, 2])), method=methods.kd(), **settings)
    long = {name: part.repeat(1, 4) for name, part in texts().items()}
    with pytest.raises(IndexError, match=r"40 tokens a text .*max_length=20"):
        distill(made("bert"), (long, torch.tensor([0, 1, 2])), method=methods.kd(), **settings)


LAYOUTS = {
    "xlnet": ("transformer.layer.1", lambda out: out[0].transpose(0, 1)),
    "squeezebert": ("transformer.encoder.layers.1.output", lambda out: out.transpose(1, 2)),
    "longformer": ("longformer.encoder.layer.1", lambda out: out[0][:, :LENGTH]),
}


@pytest.mark.parametrize("family", LAYOUTS)
def test_padding_of_another_layout_is_not_matched_unseen(family):
    """XLNet has positions first, SqueezeBERT last, and Longformer pads to its window."""
    path, read = LAYOUTS[family]
    student, teacher, inputs = made(family, 1), freeze(made(family, 2)), texts()
    batch = Batch(inputs, torch.tensor([0, 1, 2]), torch.arange(ROWS))

    def term(**options):
        method = methods.match_features("hint", hint_loss, [(path, path)], weight=1.0, **options)
        return method.terms(batch, student.eval(), teacher)["hint"].item()

    def as_it_is(out):
        return out if isinstance(out, torch.Tensor) else out[0]

    with pytest.raises(ValueError, match="which of them are padding cannot be known"):
        term(read=as_it_is)
    assert term(read=as_it_is, mask=None) > 0
    with torch.no_grad():
        taken = []
        for model in (student, teacher.model):
            module, seen = model.get_submodule(path), []
            handle = module.register_forward_hook(lambda m, i, out, seen=seen: seen.append(out))
            model(**inputs)
            handle.remove()
            taken.append(read(seen[0])[inputs["attention_mask"] == 1])
    assert term(read=read) == pytest.approx(F.mse_loss(*taken).item(), rel=1e-4)


def test_a_read_that_leaves_several_outputs_is_named():
    inputs, pair = texts(), [("bert.encoder", "bert.encoder")]
    with pytest.raises(ValueError, match="read= made of a module's output a tuple and not one"):
        Regressor.between(made("bert"), made("bert", 1), pair, inputs, read=lambda out: (out, 1))


def test_a_layer_that_has_more_than_its_place_is_refused():
    """The first layer of ModernBERT has no norm of attention, and every other one has."""
    teacher = made("modernbert", num_hidden_layers=3)
    student = made("modernbert", 1)
    before = copy.deepcopy(student.state_dict())
    with pytest.raises(ValueError, match=r"layers.0 has no attn_norm.weight, which .* layer 1 has"):
        from_teacher(student, teacher, layers=(1, 2))
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())
    from_teacher(student, teacher, layers=(0, 2))
    own, its = (m.state_dict() for m in (student, teacher))
    assert torch.equal(
        own["model.layers.1.attn_norm.weight"], its["model.layers.2.attn_norm.weight"]
    )
    # one that has less is refused as before
    with pytest.raises(ValueError, match=r"attn_norm.weight needs model.layers.0.attn_norm.weight"):
        from_teacher(student, teacher, layers={1: 0})


@pytest.mark.parametrize("family", ENCODERS)
def test_a_student_of_half_the_width_is_half_as_wide_everywhere(family):
    """Where a family has its own word for the width inside a layer, or for the pooler's."""
    config = config_of(family)
    sizes = {"hidden_size": 4, "num_attention_heads": 2}
    if family == "mobilebert":  # its width is that of its bottleneck
        return
    student = student_config(config, sizes)
    model = AutoModelForSequenceClassification.from_config(student)
    assert logits_of(model, texts()).shape == (ROWS, 3)
    if family not in ("xlm", "flaubert"):  # which have four times their width and no word for it
        assert "intermediate_size" in sizes_of(config)
        inner = [
            name
            for name in ("intermediate_size", "hidden_dim", "d_inner")
            if isinstance(getattr(student, name, None), int)
        ]
        assert [getattr(student, name) for name in inner] == [16]
        named = student_config(config, {**sizes, "intermediate_size": 12})
        assert [getattr(named, name) for name in inner] == [12]


def test_what_a_configuration_lists_for_each_layer_follows_the_layers():
    smol = transformers.SmolLM3Config(num_hidden_layers=4)
    smol.no_rope_layers = [1, 1, 1, 0]
    assert student_config(smol, {"num_hidden_layers": 2}, [1, 3]).no_rope_layers == [1, 0]
    windows = config_of("longformer", attention_window=[4, 8])
    chosen = student_config(windows, {"num_hidden_layers": 1}, [1])
    assert chosen.attention_window == [8]
    with pytest.raises(ValueError, match="funnel does not let num_hidden_layers be chosen"):
        student_config(config_of("funnel"), {"num_hidden_layers": 1})


@pytest.mark.parametrize(
    ("family", "name"), [("llama", "head_dim"), ("xlnet", "d_head"), ("funnel", "d_head")]
)
def test_heads_share_the_width_of_the_student_and_not_of_the_teacher(family, name):
    """A configuration keeps the width of a head that it was given, or worked out for itself."""
    student = student_config(config_of(family), {"hidden_size": 4})
    assert getattr(student, name) == 2
    # one that was chosen apart from the model's width stays
    apart = student_config(config_of("qwen3", head_dim=6), {"hidden_size": 4})
    assert apart.head_dim == 6


def test_a_family_without_a_limit_has_none():
    assert positions_of(config_of("xlnet")) is None  # it says -1


def cut_to_the_last_layer(model):
    """A model of two layers without its first, by hand."""
    cut = copy.deepcopy(model)
    stacks = [m for m in cut.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == 2]
    for stack in stacks:
        del stack[0]
    for module in cut.modules():
        for name, one in (("n_layers", 1), ("layer_idx", 0), ("layer_id", 0)):
            if hasattr(module, name):
                setattr(module, name, one)
    cut.config.num_hidden_layers = 1
    return cut.eval()


# ModernBERT's first layer is another; heads of depth, as ESM's, are not asked
ALIKE = [family for family in ENCODERS if family not in ("funnel", "modernbert")]


@pytest.mark.parametrize("family", ALIKE)
@torch.no_grad()
def test_a_student_starts_from_the_layers_that_it_names(family):
    """Also where layers share their weights, or lie in parts in several lists."""
    teacher, kind = made(family).eval(), AutoModelForSequenceClassification
    both, last = (new_student(kind, {"layers": each}, teacher, 0).eval() for each in ([0, 1], [1]))
    inputs = texts()
    assert torch.equal(logits_of(both, inputs), logits_of(teacher, inputs))
    expected = logits_of(cut_to_the_last_layer(teacher), inputs)
    assert torch.equal(logits_of(last, inputs), expected)
    assert not torch.equal(expected, logits_of(teacher, inputs))


@torch.no_grad()
def test_layers_that_share_weights_in_groups_keep_their_own():
    """ALBERT's four layers in two groups: the second and the third are of one each."""
    teacher = made("albert", num_hidden_layers=4, num_hidden_groups=2).eval()
    kind = AutoModelForSequenceClassification
    student = new_student(kind, {"layers": [1, 2]}, teacher, 0).eval()
    hand = copy.deepcopy(teacher)
    hand.config.num_hidden_layers = 2  # one of each group
    assert torch.equal(logits_of(student, texts()), logits_of(hand, texts()))
    with pytest.raises(ValueError, match="the teacher has the layers 0 to 3"):
        new_student(kind, {"layers": [4]}, teacher, 0)


@torch.no_grad()
def test_what_the_first_layer_of_t5_has_for_all_goes_to_the_students_first():
    torch.manual_seed(0)
    sizes = {"d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 3, "num_heads": 2, "vocab_size": 40}
    teacher = transformers.T5EncoderModel(transformers.T5Config(**sizes)).eval()
    student = new_student(AutoEncoder, {"layers": [1, 2]}, teacher, 0).eval()
    hand = copy.deepcopy(teacher)
    first, *others = hand.encoder.block
    others[0].layer[0].SelfAttention.has_relative_attention_bias = True
    bias = first.layer[0].SelfAttention.relative_attention_bias
    others[0].layer[0].SelfAttention.relative_attention_bias = bias
    hand.encoder.block = torch.nn.ModuleList(others)
    ours, expected = (model(**texts()).last_hidden_state for model in (student, hand))
    assert torch.equal(ours, expected)
