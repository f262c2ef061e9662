"""Decoding: one engine that makes sequences with any model that gives ``start`` and ``advance``."""

from seqjax.decoding.beam import Beams as Beams
from seqjax.decoding.beam import beam_search as beam_search
from seqjax.decoding.decodable import Decodable as Decodable
from seqjax.decoding.engine import Generated as Generated
from seqjax.decoding.engine import generate as generate
from seqjax.decoding.limits import Limits as Limits
from seqjax.decoding.prefix_beam import Companion as Companion
from seqjax.decoding.prefix_beam import Transcript as Transcript
from seqjax.decoding.prefix_beam import prefix_beam_search as prefix_beam_search
from seqjax.decoding.prompts import bucket as bucket
from seqjax.decoding.prompts import pad_prompts as pad_prompts
from seqjax.decoding.scoring import score as score
from seqjax.decoding.streaming import stream as stream
from seqjax.decoding.tree import Tree as Tree
from seqjax.decoding.tree import search_tree as search_tree
from seqjax.decoding.values import Made as Made
from seqjax.decoding.values import make_values as make_values
from seqjax.ops.sampling import Sampling as Sampling
