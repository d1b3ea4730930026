"""Bugs to plant in PTX: each synchronisation, count, parity, address and initialisation removed or weakened in turn."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Edit = Callable[[re.Match[str]], str | None]


@dataclass(frozen=True)
class Rule:
    """What to plant: `pattern` finds an instruction (without its guard), `edit` writes another; None for not here."""

    name: str
    pattern: re.Pattern[str]
    edit: Edit


@dataclass(frozen=True)
class Mutation:
    """One planted bug: the rule, the line of the PTX, and the whole new text.

    `probe`: the text with a `trap` in place of the instruction, which tells whether it is executed at all.
    """

    rule: str
    line: int
    before: str
    ptx: str
    probe: str

    def __str__(self) -> str:
        return f"{self.rule} @{self.line}"


def _removed(_: re.Match[str]) -> str:
    return ""


def _scaled(factor_up: int, factor_down: int) -> Edit:
    def edit(match: re.Match[str]) -> str | None:
        value = int(match["value"]) * factor_up // factor_down
        return _with_value(match, "value", value) if value != int(match["value"]) else None

    return edit


def _replaced(group: str, change: Callable[[int], int]) -> Edit:
    def edit(match: re.Match[str]) -> str:
        return _with_value(match, group, change(int(match[group])))

    return edit


def _with_value(match: re.Match[str], group: str, value: int) -> str:
    start, end = match.start(group) - match.start(), match.end(group) - match.start()
    return match[0][:start] + str(value) + match[0][end:]


def _not_waited(match: re.Match[str]) -> str:
    return f"setp.eq.u32 {match['done']}, 0, 0;"


def _displaced(match: re.Match[str]) -> str:
    """The address moved by 16 bytes."""
    return match[0].replace(match["place"], f"[{match['base']}+{int(match['offset'] or 0) + 16}]", 1)


def _rule(name: str, pattern: str, edit: Edit) -> Rule:
    return Rule(name, re.compile(pattern), edit)


_PLACE = r"(?P<place>\[\s*(?P<base>%\w+)\s*(?:\+\s*(?P<offset>\d+))?\s*\])"
RULES = (
    _rule("no bar.sync", r"(?<!m)(?:bar|barrier)(?:\.cta)?\.sync(?:\.aligned)?\s+[^;]*;", _removed),
    _rule("no bar.warp.sync", r"bar\.warp\.sync\s+[^;]*;", _removed),
    _rule("no bar.arrive", r"(?<!m)(?:bar|barrier)(?:\.cta)?\.arrive[^;]*;", _removed),
    _rule("bar.sync of fewer threads", r"bar\.sync\s+\w+,\s*(?P<value>\d+);", _scaled(1, 2)),
    _rule("no fence.proxy.async", r"fence\.proxy\.async[^;]*;", _removed),
    _rule("no membar", r"(?:membar|fence\.acq_rel|fence\.sc)[^;]*;", _removed),
    _rule("no cp.async wait", r"cp\.async\.wait_(?:group\s+\d+|all);", _removed),
    _rule("weaker cp.async wait", r"cp\.async\.wait_group\s+(?P<value>\d+);", _replaced("value", lambda n: n + 1)),
    _rule("no cp.async commit", r"cp\.async\.commit_group;", _removed),
    _rule("no bulk wait", r"cp\.async\.bulk\.wait_group[^;]*;", _removed),
    _rule("no bulk commit", r"cp\.async\.bulk\.commit_group;", _removed),
    _rule("no wgmma wait", r"wgmma\.wait_group[^;]*;", _removed),
    _rule("weaker wgmma wait", r"wgmma\.wait_group\.sync\.aligned\s+(?P<value>\d+);", _replaced("value", lambda n: n + 1)),  # noqa: E501
    _rule("no wgmma commit", r"wgmma\.commit_group[^;]*;", _removed),
    _rule("no mbarrier wait", r"mbarrier\.try_wait[.\w:]*\s+(?P<done>[%\w]+),[^;]*;", _not_waited),
    _rule("no mbarrier arrive", r"mbarrier\.arrive\.(?!expect)[^;]*;", _removed),
    _rule("no expect_tx", r"mbarrier\.arrive\.expect_tx[^;]*;", _removed),
    _rule("fewer bytes expected", r"mbarrier\.arrive\.expect_tx[^;]*,\s*(?P<value>\d+);", _scaled(1, 2)),
    _rule("more bytes expected", r"mbarrier\.arrive\.expect_tx[^;]*,\s*(?P<value>\d+);", _scaled(2, 1)),
    _rule("no mbarrier init", r"mbarrier\.init[^;]*;", _removed),
    _rule("one arrival more", r"mbarrier\.init[^;]*,\s*(?P<value>\d+);", _replaced("value", lambda n: n + 1)),
    _rule("half the arrivals", r"mbarrier\.init[^;]*,\s*(?P<value>\d+);", _scaled(1, 2)),
    _rule("no tcgen05.wait::ld", r"tcgen05\.wait::ld[^;]*;", _removed),
    _rule("no tcgen05.wait::st", r"tcgen05\.wait::st[^;]*;", _removed),
    _rule("no tcgen05.commit", r"tcgen05\.commit[^;]*;", _removed),
    _rule("no tcgen05.dealloc", r"tcgen05\.dealloc[^;]*;", _removed),
    _rule("no st.shared", r"st\.shared[^;]*;", _removed),
    _rule("st.shared displaced", rf"st\.shared[.\w:]*\s+{_PLACE}[^;]*;", _displaced),
    _rule("no cp.async", r"cp\.async\.c[ag]\.shared[^;]*;", _removed),
    _rule("no bulk copy", r"cp\.async\.bulk\.tensor[^;]*;", _removed),
    _rule("atomic made a store", r"red\.(?:relaxed\.|acq_rel\.|release\.)?(?:gpu\.)?global\.add\.(?P<type>\w+)(?P<rest>[^;]*);",  # noqa: E501
          lambda m: f"st.global.b{m['type'][1:]}{m['rest']};"),
)  # fmt: skip


def mutations(ptx: str) -> Iterator[Mutation]:
    """Every bug that can be planted in a PTX text."""
    for rule in RULES:
        for match in rule.pattern.finditer(ptx):
            new = rule.edit(match)
            if new is None or _is_comment(ptx, match.start()):
                continue
            start, end = match.span()
            probe = ptx[:start] + "trap;" + ptx[end:]
            # A guard before an instruction that is gone would be left alone.
            start = start if new else _with_guard(ptx, start)
            line = ptx.count("\n", 0, match.start()) + 1
            yield Mutation(rule.name, line, " ".join(match[0].split()), ptx[:start] + new + ptx[end:], probe)


def _is_comment(ptx: str, position: int) -> bool:
    return "//" in ptx[ptx.rfind("\n", 0, position) + 1 : position]


def _with_guard(ptx: str, position: int) -> int:
    before = ptx[max(position - 80, 0) : position]
    guard = re.search(r"@!?[%\w]+\s+$", before)
    return position - (len(before) - guard.start()) if guard else position
