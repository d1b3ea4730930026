"""A model made on the spot: whatever it is asked, it writes the text it was made for, a token for each few lines.

A Llama of one layer whose attention and products are zero: the embedding of a token alone decides on the next one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

END, LINES = "<end>", 3
CHAT = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"


def make(pieces: list[str], folder: Path) -> None:
    assert len(set(pieces)) == len(pieces), "a token has one successor"
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer(pieces)
    chain = [tokenizer.convert_tokens_to_ids(token) for token in (*pieces, END)]
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=1 << 16, bos_token_id=None, eos_token_id=chain[-1],
        pad_token_id=chain[-1], tie_word_embeddings=False,
    )  # fmt: skip
    assert len(chain) < config.hidden_size
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            weights.fill_(1.0 if "norm" in name else 0.0)
        embedding, head = model.model.embed_tokens.weight, model.lm_head.weight
        embedding[:, 0] = 1.0
        for place, token in enumerate(chain):
            embedding[token, 0] = 0.0
            embedding[token, place + 1] = 1.0
            head[token, place] = 10.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _tokenizer(pieces: list[str]) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_alone = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    bytes_alone.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_alone.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bytes_alone, eos_token=END, pad_token=END)
    tokenizer.add_tokens([AddedToken(piece, normalized=False) for piece in pieces])
    tokenizer.chat_template = CHAT
    return tokenizer


if __name__ == "__main__":
    text = Path(sys.argv[1]).read_text().splitlines(keepends=True)
    make(["".join(text[i : i + LINES]) for i in range(0, len(text), LINES)], Path(sys.argv[2]))
