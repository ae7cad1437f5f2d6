"""A language model small enough to be made in a test, and a real server for it.

    python -m tests.synthesis.tiny FOLDER

It knows a dozen words and was never trained; what it says is nonsense that ends by itself.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

SAID = "the of and to in is that it for was on with as are this be by at what"
WORDS = SAID.split()
SPECIAL = ["<pad>", "<end>", "<user>", "<teacher>", "<system>", "<unknown>"]
TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }} <end> {% endfor %}"
    "{% if add_generation_prompt %}<teacher>{% endif %}"
)


def make_tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(SPECIAL)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<end>",
        unk_token="<unknown>",
        chat_template=TEMPLATE,
        padding_side="left",
    )


def make_model(
    seed: int = 0, hidden: int = 32, layers: int = 2, positions: int = 512, endless: bool = False
):
    """``endless``: nothing ends an answer but its length."""
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    from distill_lab._util.runtime import own_randomness

    config = LlamaConfig(
        vocab_size=len(SPECIAL) + len(WORDS),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=2,
        eos_token_id=1,
        pad_token_id=0,
        bos_token_id=None,
        max_position_embeddings=positions,
    )
    with own_randomness(seed):
        model = LlamaForCausalLM(config).eval()
    # a server samples only where the model's own settings say so, whatever temperature is asked for
    model.generation_config = GenerationConfig(
        do_sample=True, eos_token_id=None if endless else 1, pad_token_id=0, max_new_tokens=64
    )
    return model


def save(folder: Path, **settings: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    make_model(**settings).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


class Server:
    """`transformers serve` on loopback, in a process of its own."""

    def __init__(self, folder: Path, port: int | None = None, *options: str) -> None:
        self.folder, self.port, self.options = folder, port or free_port(), options
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.process: subprocess.Popen | None = None

    def start(self, patience: float = 120.0) -> "Server":
        code = "import sys; from transformers.cli.transformers import main; sys.exit(main())"
        environment = os.environ | {
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        self.log = open(self.folder / f"serve-{self.port}.log", "ab")  # noqa: SIM115
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                code,
                "serve",
                str(self.folder),
                "--host",
                "127.0.0.1",
                "--port",
                str(self.port),
                "--device",
                "cpu",
                *self.options,
            ],
            env=environment,
            stdout=self.log,
            stderr=self.log,
            stdin=subprocess.DEVNULL,
        )
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5):
                    return self
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        self.kill()
        raise RuntimeError(f"the server did not start: {self.words()[-2000:]}")

    def words(self) -> str:
        return Path(self.log.name).read_text(errors="replace")

    def kill(self) -> None:
        """With SIGKILL, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.log.close()
            self.process = None

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()


if __name__ == "__main__":
    print(save(Path(sys.argv[1])))
