"""Decoding: one engine that makes sequences with any model that gives ``start`` and ``advance``."""

from seqjax.decoding.engine import Decodable as Decodable
from seqjax.decoding.engine import Generated as Generated
from seqjax.decoding.engine import generate as generate
from seqjax.decoding.prompts import bucket as bucket
from seqjax.decoding.prompts import pad_prompts as pad_prompts
from seqjax.decoding.streaming import stream as stream
from seqjax.ops.sampling import Sampling as Sampling
