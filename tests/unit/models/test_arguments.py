"""Arguments that do not fit are refused by a ValueError that says what to write."""

import pytest

from lightning_tying.models import ConvNet, DecoderLM, EncoderClassifier, EncoderDecoder, RecurrentLM

REFUSED = [
    (
        lambda: DecoderLM(100, 65, 2, 8),
        "DecoderLM: `dim` is 65, which is not a multiple of `heads` (8). Write dim: 64 or 72",
    ),
    (lambda: DecoderLM(100, 4, 2, 8), "Write dim: 8, or change `heads`"),
    (lambda: DecoderLM(100, 64, 2, 8, kv_heads=3), "`heads` is 8, which is not a multiple of `kv_heads` (3)"),
    (lambda: DecoderLM(100, 64, 0, 8), "DecoderLM: `depth` is 0. Write a whole number of at least 1."),
    (lambda: DecoderLM(0, 64, 2, 8), "`vocab_size` is 0"),
    (lambda: DecoderLM(100, 64, 2, 0), "`heads` is 0"),
    (lambda: DecoderLM(100, 24, 2, 8), "a head has 3 channels (`dim` 24 / `heads` 8)"),
    (lambda: DecoderLM(100, 64, 2, 8, dropout=1.0), "`dropout` is 1.0"),
    (lambda: DecoderLM(100, 64, 2, 8, activation="swigluu"), "Did you mean 'swiglu'?"),
    (lambda: DecoderLM(100, 64, 2, 8, hidden=0), "`hidden` is 0"),
    (lambda: EncoderDecoder(100, 65, 2, 8), "EncoderDecoder: `dim` is 65"),
    (lambda: EncoderDecoder(100, 5, 2, 1), "`dim` is 5, which is not a multiple of"),
    (lambda: EncoderDecoder(100, 64, 2, 8, decoder_depth=0), "`decoder_depth` is 0"),
    (lambda: EncoderClassifier(100, 0), "EncoderClassifier: `classes` is 0"),
    (lambda: ConvNet(1, 10, stages=0), "ConvNet: `stages` is 0"),
    (lambda: RecurrentLM(100, kind="rnn"), "RecurrentLM: `kind` is 'rnn'. Write one of 'gru', 'lstm'."),
    (lambda: RecurrentLM(100, dropout=-0.5), "`dropout` is -0.5"),
]


@pytest.mark.parametrize(("build", "message"), REFUSED)
def test_refused(build, message):
    with pytest.raises(ValueError) as caught:
        build()
    assert message in str(caught.value)
