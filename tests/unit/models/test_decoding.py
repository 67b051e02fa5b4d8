"""With a cache a network computes what it computes without one, whatever the pieces; and no token sees a later one."""

import pytest
import torch

from lightning_tying.models import DecoderLM, EncoderDecoder, RecurrentLM
from lightning_tying.models.cache import FIRST_CAPACITY, KeyValues

LENGTH = FIRST_CAPACITY + 9  # more than the first room of a cache
LANGUAGE_MODELS = {
    "decoder": lambda: DecoderLM(40, 32, 2, 4),
    "grouped": lambda: DecoderLM(40, 32, 2, 4, kv_heads=2),
    "multi_query": lambda: DecoderLM(40, 32, 2, 4, kv_heads=1, activation="gelu"),
    "lstm": lambda: RecurrentLM(40, 32, 2),
    "gru": lambda: RecurrentLM(40, 32, 2, kind="gru"),
}
each = pytest.mark.parametrize("name", LANGUAGE_MODELS)
pieces = pytest.mark.parametrize("piece", [1, 3, LENGTH])


def make(name):
    torch.manual_seed(0)
    return LANGUAGE_MODELS[name]().eval(), torch.randint(1, 40, (2, LENGTH))


def translator():
    torch.manual_seed(0)
    source = torch.randint(1, 40, (3, 7))
    source[1, 4:] = 0
    return EncoderDecoder(40, 32, 2, 4).eval(), source, torch.randint(1, 40, (3, LENGTH))


@each
@pieces
@torch.no_grad()
def test_cached_equals_uncached(name, piece):
    network, tokens = make(name)
    cache = network.new_cache()
    parts = [network(part, cache=cache) for part in tokens.split(piece, dim=1)]
    assert cache.length == LENGTH
    torch.testing.assert_close(torch.cat(parts, dim=1), network(tokens), rtol=1e-4, atol=1e-5)


@pieces
@torch.no_grad()
def test_cached_translation_equals_uncached(piece):
    network, source, target = translator()
    memory, cache = network.encode(source), network.new_cache()
    parts = [network.decode(part, memory, source != 0, cache) for part in target.split(piece, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), network(source, target), rtol=1e-4, atol=1e-5)


@each
@torch.no_grad()
def test_reordered_cache_goes_on_with_the_chosen_rows(name):
    network, tokens = make(name)
    cache, rows = network.new_cache(), torch.tensor([1, 1, 0])
    network(tokens[:, :5], cache=cache)
    cache.reorder(rows)
    chosen = tokens[rows]
    expected = network(chosen[:, :6])[:, 5:]
    torch.testing.assert_close(network(chosen[:, 5:6], cache=cache), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_reordered_translation_cache():
    network, source, target = translator()
    cache, rows = network.new_cache(), torch.tensor([2, 1])
    memory, seen = network.encode(source), source != 0
    network.decode(target[:, :4], memory, seen, cache)
    cache.reorder(rows)
    found = network.decode(target[rows, 4:5], memory[rows], seen[rows], cache)
    torch.testing.assert_close(found, network(source[rows], target[rows, :5])[:, 4:], rtol=1e-4, atol=1e-5)


@each
@torch.no_grad()
def test_no_token_sees_a_later_one(name):
    network, tokens = make(name)
    changed = tokens.clone()
    changed[:, 6:] = 39 - changed[:, 6:] % 39
    before, after = network(tokens), network(changed)
    assert torch.equal(before[:, :6], after[:, :6])
    assert not torch.allclose(before[:, 6:], after[:, 6:])


@torch.no_grad()
def test_translation_sees_all_of_the_source_but_its_padding():
    network, source, target = translator()
    logits = network(source, target)
    longer = torch.cat([source, torch.zeros(3, 4, dtype=torch.long)], dim=1)
    torch.testing.assert_close(network(longer, target), logits, rtol=1e-4, atol=1e-5)
    changed = source.clone()
    changed[:, 0] = 39 - changed[:, 0] % 39
    assert not torch.allclose(network(changed, target)[:, 0], logits[:, 0])
    later = target.clone()
    later[:, 6:] = 1
    torch.testing.assert_close(network(source, later)[:, :6], logits[:, :6], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_source_of_padding_alone_is_finite():
    network, source, target = translator()
    source[1] = 0
    assert network(source, target).isfinite().all()


@torch.no_grad()
def test_appending_keeps_what_is_there():
    cache, parts = KeyValues(), torch.randn(1, 2, 200, 4).split([1, 40, 3, 156], dim=2)
    assert cache.read() is None
    for part in parts:
        keys, values = cache.append(part, -part)
    assert torch.equal(keys, torch.cat(parts, dim=2))
    assert torch.equal(values, -keys)
    assert cache.length == 200
