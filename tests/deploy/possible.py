"""Which rules can have a result at all, judged by the series that there are: Prometheus takes long over the others."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import promql_parser


def possible(groups: list[dict[str, Any]], series: Set[str]) -> list[dict[str, Any]]:
    """Return the groups without those rules that have no result, whatever the values of series of these names are."""
    present, found = {"ALERTS", "ALERTS_FOR_STATE", *series}, 0
    while len(present) != found:
        found = len(present)
        kept = [[rule for rule in group["rules"] if has_result(rule["expr"], present)] for group in groups]
        present |= {rule["record"] for rules in kept for rule in rules if "record" in rule}
    return [group | {"rules": rules} for group, rules in zip(groups, kept, strict=True) if rules]


def has_result(expr: str, present: Set[str]) -> bool:
    """Say whether an expression may have a result where only series of these names are present."""
    return _may(promql_parser.parse(expr), present)


def _may(node: Any, present: Set[str]) -> bool:
    """Say the same of a part of an expression; a number has a result, and so has what is not known here."""
    match node:
        case promql_parser.VectorSelector():
            return node.name is None or node.name in present
        case promql_parser.MatrixSelector():
            return _may(node.vector_selector, present)
        case promql_parser.BinaryExpr():
            left, right = _may(node.lhs, present), _may(node.rhs, present)
            return {"or": left or right, "unless": left}.get(str(node.op), left and right)
        case promql_parser.Call():
            whatever = node.func.name.startswith("absent") or node.func.name == "scalar"
            return whatever or all(_may(argument, present) for argument in node.args)
        case (
            promql_parser.ParenExpr()
            | promql_parser.UnaryExpr()
            | promql_parser.SubqueryExpr()
            | promql_parser.AggregateExpr()
        ):
            return _may(node.expr, present)
    return True
