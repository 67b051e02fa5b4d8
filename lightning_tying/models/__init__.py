"""Networks without any knowledge of sharing: plain arguments in, `torch.nn.Module`s with readable FQNs out."""

from lightning_tying.models.convnet import ConvNet
from lightning_tying.models.decoder import DecoderLM
from lightning_tying.models.encoder import EncoderClassifier
from lightning_tying.models.encoder_decoder import EncoderDecoder
from lightning_tying.models.hf import HuggingFace
from lightning_tying.models.recurrent import RecurrentLM
from lightning_tying.models.recurrent_classifier import RecurrentClassifier

__all__ = [
    "ConvNet",
    "DecoderLM",
    "EncoderClassifier",
    "EncoderDecoder",
    "HuggingFace",
    "RecurrentClassifier",
    "RecurrentLM",
]
