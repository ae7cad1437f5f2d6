"""Fourteen chat templates in small, after those in use, with a tokenizer of bytes for each."""

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% if tools %}<|start_header_id|>system<|end_header_id|>\n\nTools: "
    "{{ tools | tojson }}<|eot_id|>{% endif %}{% for m in messages %}"
    "{% set role = 'ipython' if m.role == 'tool' else m.role %}"
    "{{ '<|start_header_id|>' + role + '<|end_header_id|>\n\n' }}{% if m.tool_calls %}"
    '{% for c in m.tool_calls %}{{ \'{"name": "\' + c.function.name + \'", "parameters": \' }}'
    "{{ c.function.arguments | tojson }}{{ '}' }}{% endfor %}{% else %}{{ m.content | trim }}"
    "{% endif %}<|eot_id|>{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}{% for m in messages %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' }}"
    "{{ m.content | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{% if tools and loop.last %}"
    "{{ '[AVAILABLE_TOOLS] ' + (tools | tojson) + '[/AVAILABLE_TOOLS]' }}{% endif %}"
    "{{ '[INST] ' + m.content + ' [/INST]' }}{% elif m.role == 'assistant' %}"
    "{{ ' ' + (m.content | trim) + eos_token }}{% endif %}{% endfor %}"
)
QWEN3 = (
    "{% if tools %}{{ '<|im_start|>system\n# Tools\n<tools>' }}{% for t in tools %}"
    "{{ t | tojson }}{% endfor %}{{ '</tools><|im_end|>\n' }}{% endif %}"
    "{% set ns = namespace(last=0) %}{% for m in messages %}{% if m.role == 'user' %}"
    "{% set ns.last = loop.index0 %}{% endif %}{% endfor %}{% for m in messages %}"
    "{% if m.role == 'assistant' %}{% set content = m.content or '' %}{% set thought = '' %}"
    "{% if m.reasoning_content is string %}{% set thought = m.reasoning_content %}"
    "{% elif '</think>' in content %}"
    "{% set thought = content.split('</think>')[0].rstrip('\n').split('<think>')[-1] %}"
    "{% set content = content.split('</think>')[-1].lstrip('\n') %}{% endif %}"
    "{{ '<|im_start|>assistant\n' }}{% if loop.index0 > ns.last and (loop.last or thought) %}"
    "{{ '<think>\n' + thought.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}"
    "{% else %}{{ content }}{% endif %}{% for c in m.tool_calls or [] %}{{ '\n<tool_call>\n' }}"
    '{{ \'{"name": "\' + c.function.name + \'", "arguments": \' }}'
    "{{ c.function.arguments | tojson }}{{ '}\n</tool_call>' }}{% endfor %}{{ '<|im_end|>\n' }}"
    "{% elif m.role == 'tool' %}{{ '<|im_start|>user\n<tool_response>\n' + m.content }}"
    "{{ '\n</tool_response><|im_end|>\n' }}{% else %}"
    "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}"
    "{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
R1 = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}"
    "{% elif m.role == 'user' %}{{ '<|User|>' + m.content }}{% else %}"
    "{{ '<|Assistant|>' + m.content.split('</think>')[-1] + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|Assistant|><think>\n' }}{% endif %}"
)
PHI = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
ZEPHYR = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + eos_token + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
GRANITE = (
    "{% for m in messages %}{{ '<|start_of_role|>' + m.role + '<|end_of_role|>' }}"
    "{{ m.content + '<|end_of_text|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_of_role|>assistant<|end_of_role|>' }}{% endif %}"
)
QWEN25 = (  # a system turn of its own where there is none, with the tools in it
    "{% if messages[0].role != 'system' or tools %}{{ '<|im_start|>system\n' }}"
    "{{ messages[0].content if messages[0].role == 'system' else 'You are kind.' }}"
    "{% if tools %}{{ '\n\n# Tools\n' }}{% for t in tools %}{{ t | tojson }}{% endfor %}{% endif %}"
    "{{ '<|im_end|>\n' }}{% endif %}{% for m in messages %}"
    "{% if m.role == 'tool' %}{{ '<|im_start|>user\n<tool_response>\n' + m.content }}"
    "{{ '\n</tool_response><|im_end|>\n' }}{% elif m.role == 'assistant' and m.tool_calls %}"
    "{{ '<|im_start|>assistant' }}{% if m.content %}{{ '\n' + m.content }}{% endif %}"
    "{% for c in m.tool_calls %}{{ '\n<tool_call>\n' }}"
    '{{ \'{"name": "\' + c.function.name + \'", "arguments": \' }}'
    "{{ c.function.arguments | tojson }}{{ '}\n</tool_call>' }}{% endfor %}{{ '<|im_end|>\n' }}"
    "{% elif not (tools and loop.first and m.role == 'system') %}"
    "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SMOLLM = (  # the system turn says whether thoughts are wanted
    "{% set quick = enable_thinking is defined and not enable_thinking %}"
    "{{ '<|im_start|>system\n' + ('/no_think' if quick else '/think') + '\n' }}"
    "{{ messages[0].content if messages[0].role == 'system' else 'I am small.' }}"
    "{{ '<|im_end|>\n' }}{% for m in messages %}{% if m.role == 'assistant' %}"
    "{{ '<|im_start|>assistant\n' + ('<think>\n\n</think>\n' if quick else '') }}"
    "{{ m.content.lstrip('\n') + '<|im_end|>\n' }}{% elif m.role == 'user' %}"
    "{{ '<|im_start|>user\n' + m.content + '<|im_end|>\n' }}{% elif m.role == 'tool' %}"
    "{{ '<|im_start|>user\n' + m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{{ '<think>\n\n</think>\n' if quick else '' }}{% endif %}"
)
COMMAND = (
    "{{ bos_token }}{% for m in messages %}{% set role = {'user': '<|USER_TOKEN|>', 'assistant': "
    "'<|CHATBOT_TOKEN|>', 'system': '<|SYSTEM_TOKEN|>'}[m.role] %}{{ '<|START_OF_TURN_TOKEN|>' }}"
    "{{ role + (m.content | trim) + '<|END_OF_TURN_TOKEN|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}"
)
HARMONY = (  # channels; the last answer ends otherwise than earlier ones
    "{% for m in messages %}{% if m.role == 'assistant' %}{% if m.thinking and loop.last %}"
    "{{ '<|start|>assistant<|channel|>analysis<|message|>' + m.thinking + '<|end|>' }}{% endif %}"
    "{{ '<|start|>assistant<|channel|>final<|message|>' + m.content }}"
    "{{ '<|return|>' if loop.last and not add_generation_prompt else '<|end|>' }}{% else %}"
    "{{ '<|start|>' + m.role + '<|message|>' + m.content + '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}"
)

CHANNELS = ("start", "channel", "message", "end")

# The template, its end of a text, and what else is a token of its own.
CHATS = {
    "chatml": (CHATML, "<|im_end|>", ["<|im_start|>"]),
    "llama-3": (LLAMA3, "<|eot_id|>", ["<|start_header_id|>", "<|end_header_id|>"]),
    "gemma": (GEMMA, "<eos>", ["<start_of_turn>", "<end_of_turn>"]),
    "mistral": (MISTRAL, "</s>", ["[INST]", "[/INST]", "[AVAILABLE_TOOLS]"]),
    "qwen3": (QWEN3, "<|im_end|>", ["<|im_start|>", "<|endoftext|>"]),
    "r1": (R1, "<|end|>", ["<|User|>", "<|Assistant|>"]),
    "phi": (PHI, "<|endoftext|>", ["<|user|>", "<|assistant|>", "<|system|>", "<|end|>"]),
    "zephyr": (ZEPHYR, "</s>", []),
    "granite": (GRANITE, "<|end_of_text|>", ["<|start_of_role|>", "<|end_of_role|>"]),
    "qwen2.5": (QWEN25, "<|im_end|>", ["<|im_start|>", "<|endoftext|>"]),
    "smollm": (SMOLLM, "<|im_end|>", ["<|im_start|>"]),
    "command-r": (
        COMMAND,
        "<|END_OF_TURN_TOKEN|>",
        [f"<|{word}_TOKEN|>" for word in ("START_OF_TURN", "USER", "CHATBOT", "SYSTEM")],
    ),
    "harmony": (HARMONY, "<|return|>", [f"<|{word}|>" for word in CHANNELS]),
    "base": (None, "</s>", []),
}


def chat(name: str, *, words: tuple[str, ...] = ("<think>", "</think>", "<tool_call>")):
    """The tokenizer of one of the templates; `words` are tokens of their own, but not special."""
    template, end, special = CHATS[name]
    fast = Tokenizer(models.BPE(vocab=letters(), merges=[]))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    fast.add_tokens(list(words))
    space = name == "phi"  # whose tokens take the space behind them
    fast.add_special_tokens([AddedToken(s, rstrip=space) for s in ("<s>", "<pad>", end, *special)])
    start = fast.token_to_id("<s>")
    fast.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", start)])
    made = PreTrainedTokenizerFast(
        tokenizer_object=fast, bos_token="<s>", eos_token=end, pad_token="<pad>"
    )
    made.chat_template = template
    return made


def letters():
    """Every byte, a token each."""
    return {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
