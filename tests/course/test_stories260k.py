"""stories260K as a Llama: its documented sample, its tokenizer, and a made-up file by hand."""

import hashlib
import struct
from itertools import pairwise

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="stories260K becomes a Hugging Face model")

from distill_lab.course import stories260k
from distill_lab.course.sentencepiece import tokenizer_of

here = pytest.mark.skipif(
    stories260k.find() is None, reason="stories260K is not in $DISTILL_LAB_MODELS"
)

# What llama2.c documents for temperature 0 and 256 tokens (doc/stories260K.md): how it begins and
# ends, and the sha256 of the whole, without the space around it.
BEGINS = "Once upon a time, there was a little girl named Lily. She loved to play outside"
ENDS = "\"Don't worry, Lily. We can help you."
SAMPLE = "30b2ffb07967932a88bfdf5e23b517a6f4cfcf7231db9e537360d3c12a4e4d10"


@pytest.fixture(scope="module")
def model_and_tokenizer():
    return stories260k.load()


# --- the real one --------------------------------------------------------------------------------


@here
def test_the_documented_greedy_sample_comes_out_word_for_word(model_and_tokenizer):
    model, tokenizer = model_and_tokenizer
    start = tokenizer("", return_tensors="pt")
    assert start["input_ids"].tolist() == [[stories260k.START]]
    out = model.generate(**start, max_new_tokens=256, do_sample=False)
    text = tokenizer.decode(out[0], skip_special_tokens=True).strip()
    assert text.startswith(BEGINS) and text.endswith(ENDS)
    assert hashlib.sha256(text.encode()).hexdigest() == SAMPLE


@here
def test_it_has_its_published_size(model_and_tokenizer):
    model, tokenizer = model_and_tokenizer
    assert model.num_parameters() == 260_032 and len(tokenizer) == 512 and not model.training


@here
@pytest.mark.parametrize(
    "text",
    [
        "Once upon a time",
        'Lily said, "I can\'t find it."',
        "  two  spaces\nand a line",
        "Grüße 東京",
    ],
)
def test_text_is_cut_as_sentencepiece_cuts_it_and_comes_back(model_and_tokenizer, text):
    _, tokenizer = model_and_tokenizer
    pieces, scores = stories260k.read_pieces(stories260k._contents(None)[1], 512)
    tokens = tokenizer(text)["input_ids"]
    assert tokens == [stories260k.START, *joined(text, pieces, scores)]
    assert tokenizer.decode(tokens, skip_special_tokens=True) == text


@here
def test_saved_it_is_a_plain_hugging_face_folder(tmp_path, model_and_tokenizer):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = model_and_tokenizer
    out = stories260k.save(tmp_path / "converted")
    again, words = AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    tokens = tokenizer("Once upon a time", return_tensors="pt")["input_ids"]
    assert words("Once upon a time")["input_ids"] == tokens[0].tolist()
    assert torch.equal(again(tokens).logits, model(tokens).logits)
    assert (out / "model.safetensors").is_file()
    assert again.generation_config.eos_token_id == stories260k.START


@here
def test_a_damaged_file_is_refused(tmp_path):
    folder = stories260k.find()
    for file in stories260k.FILES:
        (tmp_path / file.name).write_bytes((folder / file.name).read_bytes())
    data = bytearray((tmp_path / "stories260K.bin").read_bytes())
    data[1000] ^= 1
    (tmp_path / "stories260K.bin").write_bytes(data)
    with pytest.raises(ValueError, match=r"not the published file.*Fetch it again"):
        stories260k.load(tmp_path)


def test_where_it_is_missing_the_error_names_the_ways_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delenv("DISTILL_LAB_MODELS", raising=False)
    assert stories260k.find() is None
    for call in (stories260k.load, lambda: stories260k.load(tmp_path)):
        with pytest.raises(FileNotFoundError) as error:
            call()
        assert "DISTILL_LAB_MODELS" in str(error.value) and stories260k.HOME in str(error.value)


# --- a made-up file, read by hand ----------------------------------------------------------------

WIDTH, INNER, LAYERS, HEADS, KEY_HEADS, WORDS, LENGTH = 16, 20, 2, 4, 2, 11, 8
HEAD = WIDTH // HEADS
KINDS = {
    "tokens": (WORDS, WIDTH),
    "norm_a": (LAYERS, WIDTH),
    "q": (LAYERS, WIDTH, WIDTH),
    "k": (LAYERS, KEY_HEADS * HEAD, WIDTH),
    "v": (LAYERS, KEY_HEADS * HEAD, WIDTH),
    "o": (LAYERS, WIDTH, WIDTH),
    "norm_b": (LAYERS, WIDTH),
    "w1": (LAYERS, INNER, WIDTH),
    "w2": (LAYERS, WIDTH, INNER),
    "w3": (LAYERS, INNER, WIDTH),
    "norm_c": (WIDTH,),
    "angles": (LENGTH, HEAD),
    "last": (WORDS, WIDTH),
}


def made_up(shared):
    draw = np.random.default_rng(0)
    kinds = {n: s for n, s in KINDS.items() if n != "last" or not shared}
    w = {n: (draw.normal(size=s) * 0.5).astype("<f4") for n, s in kinds.items()}
    header = (WIDTH, INNER, LAYERS, HEADS, KEY_HEADS, WORDS if shared else -WORDS, LENGTH)
    return struct.pack("<7i", *header) + b"".join(x.tobytes() for x in w.values()), w


def by_hand(w, tokens):
    """The network of llama2.c in float64: neighbouring numbers of a head turn by one angle."""

    def scaled(x, weight):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * weight

    def turned(x):  # (positions, heads, HEAD)
        angle = np.arange(len(x))[:, None] / 10000 ** (np.arange(0, HEAD, 2) / HEAD)
        c, s, out = np.cos(angle)[:, None], np.sin(angle)[:, None], np.empty_like(x)
        out[..., 0::2] = x[..., 0::2] * c - x[..., 1::2] * s
        out[..., 1::2] = x[..., 0::2] * s + x[..., 1::2] * c
        return out

    w = {name: values.astype(float) for name, values in w.items()}
    x = w["tokens"][tokens]
    future = np.triu(np.ones((len(tokens), len(tokens)), bool), 1)
    for i in range(LAYERS):
        h = scaled(x, w["norm_a"][i])
        q = turned((h @ w["q"][i].T).reshape(-1, HEADS, HEAD))
        k = turned((h @ w["k"][i].T).reshape(-1, KEY_HEADS, HEAD))
        v = (h @ w["v"][i].T).reshape(-1, KEY_HEADS, HEAD)
        heads = []
        for j in range(HEADS):
            group = j // (HEADS // KEY_HEADS)
            scores = np.where(future, -np.inf, q[:, j] @ k[:, group].T / np.sqrt(HEAD))
            p = np.exp(scores - scores.max(-1, keepdims=True))
            heads.append(p / p.sum(-1, keepdims=True) @ v[:, group])
        x = x + np.concatenate(heads, -1) @ w["o"][i].T
        h = scaled(x, w["norm_b"][i])
        gate = h @ w["w1"][i].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w["w3"][i].T)) @ w["w2"][i].T
    return scaled(x, w["norm_c"]) @ w.get("last", w["tokens"]).T


@pytest.mark.parametrize("shared", [True, False])
def test_a_made_up_file_says_what_it_says_by_hand(shared):
    from transformers import LlamaConfig, LlamaForCausalLM

    data, w = made_up(shared)
    config, tensors = stories260k.read_weights(data)
    model = LlamaForCausalLM(LlamaConfig(**config)).eval()
    model.load_state_dict(tensors)
    tokens = [3, 1, 4, 1, 5, 9, 2, 6]
    out = model(torch.tensor([tokens])).logits[0].detach().numpy()
    assert np.allclose(out, by_hand(w, tokens), atol=1e-4)


def test_a_file_that_does_not_fit_its_header_is_refused():
    data, _ = made_up(True)
    with pytest.raises(ValueError, match="the header promises"):
        stories260k.read_weights(data[:-4])


def test_more_or_fewer_pieces_than_tokens_are_refused():
    piece = struct.pack("<fi", 0.0, 1) + b"a"
    assert stories260k.read_pieces(b"\0" * 4 + 2 * piece, 2) == ([b"a", b"a"], [0.0, 0.0])
    with pytest.raises(ValueError, match="expected 3 pieces"):
        stories260k.read_pieces(b"\0" * 4 + 2 * piece, 3)


# --- the tokenizer -------------------------------------------------------------------------------


def joined(text, pieces, scores):
    """SentencePiece's BPE as its paper tells it: join the best pair of neighbours, and again."""
    ids = {piece: i for i, piece in enumerate(pieces)}
    tokens = []
    for letter in " " + text:
        coded = letter.encode()
        has_piece = coded in ids and ids[coded] > 258
        tokens += [ids[coded]] if has_piece else [3 + byte for byte in coded]
    while True:
        pairs = [pieces[a] + pieces[b] for a, b in pairwise(tokens)]
        known = [(scores[ids[pair]], -i) for i, pair in enumerate(pairs) if pair in ids]
        if not known:
            return tokens
        at = -max(known)[1]
        tokens[at : at + 2] = [ids[pairs[at]]]


BYTES = [b"<unk>", b"\n<s>\n", b"\n</s>\n", *(f"<0x{b:02X}>".encode() for b in range(256))]


@pytest.mark.parametrize(("best", "cut"), [(b"ab", ["ab", "c"]), (b"bc", ["a", "bc"])])
def test_the_best_pair_is_joined_first(best, cut):
    pieces = [*BYTES, b"ab", b"bc", b" ", b"a", b"b", b"c"]
    scores = [0.0] * 259 + [-1.0 if p == best else -2.0 for p in (b"ab", b"bc")] + [-9.0] * 4
    tokenizer = tokenizer_of(pieces, scores)
    assert tokenizer.tokenize("abc") == ["\u2581", *cut]
    assert tokenizer("abcbc")["input_ids"] == [1, *joined("abcbc", pieces, scores)]


def test_a_vocabulary_without_its_bytes_or_with_a_piece_twice_is_refused():
    with pytest.raises(ValueError, match="at least 259"):
        tokenizer_of(BYTES[:100], [0.0] * 100)
    with pytest.raises(ValueError, match="one score a piece"):
        tokenizer_of([*BYTES, b"a"], [0.0] * 259)
    with pytest.raises(ValueError, match="two pieces are the same"):
        tokenizer_of([*BYTES, b"a", b"a"], [0.0] * 261)
