"""Correct numbers: protocols, alignment, averaging and a baseline beside every figure, for any predictor.

>>> from edgedepth.datasets import open_dataset
>>> from edgedepth.evaluation import evaluate, protocol_named
>>> report = evaluate(predict, open_dataset("nyu:DIR", "test"), protocol_named("nyu-eigen"))   # doctest: +SKIP
>>> print(report.markdown())                                                                  # doctest: +SKIP
"""

from edgedepth.evaluation.baseline import MeanDepth, baselines_of, map_at_size
from edgedepth.evaluation.boundaries import boundary_f1
from edgedepth.evaluation.evaluate import Prediction, Samples, evaluate, evaluate_samples
from edgedepth.evaluation.protocols import PROTOCOLS, Protocol, protocol_named
from edgedepth.evaluation.report import EvaluationReport, ImageScore
from edgedepth.evaluation.router import RouteShares, RoutingScore, route_shares, score_routes

__all__ = [
    "PROTOCOLS",
    "EvaluationReport",
    "ImageScore",
    "MeanDepth",
    "Prediction",
    "Protocol",
    "RouteShares",
    "RoutingScore",
    "Samples",
    "baselines_of",
    "boundary_f1",
    "evaluate",
    "evaluate_samples",
    "map_at_size",
    "protocol_named",
    "route_shares",
    "score_routes",
]
