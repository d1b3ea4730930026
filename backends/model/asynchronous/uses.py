"""Which completion of which ring each PTX instruction concerns, by the number of its execution."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from backends.model.asynchronous.observed import Act, Observed
from backends.model.asynchronous.patterns import Pattern, fit
from backends.model.asynchronous.rings import Ring, rings, sites_by_kind
from backends.model.sm.costs import BarrierUse, TensorShape
from ir.diagnostics import Diagnostic

# What an act does, and the line of PTX that it stands on.
Key = tuple[str, int]


@dataclass(frozen=True)
class Uses:
    """Barriers and matrix shapes by PTX; notes say what could not be told, and was left out.

    idle: lines of instructions that were never executed.
    joined: line of a named barrier -> warps that come to it. late: lines that warps pass by in first turns of a loop.
    """

    barriers: Mapping[Key, BarrierUse]
    idle: frozenset[int]
    joined: Mapping[int, frozenset[int]]
    late: frozenset[int]
    shapes: Mapping[int, TensorShape]
    notes: tuple[Diagnostic, ...] = ()


def uses(observed: Observed) -> Uses:
    """The uses of all barriers of a CTA whose sequences are regular."""
    notes = [*_cut_off(observed), *_remote(observed)]
    barriers: dict[Key, BarrierUse] = {}
    for ring in rings(observed):
        found = _Ring(observed, ring).uses()
        if isinstance(found, Diagnostic):
            notes.append(found)
        else:
            barriers |= found
    shapes, varied = _shapes(observed)
    late = frozenset(line for site in observed.late if (line := observed.line(site)) is not None)
    return Uses(barriers, _idle(observed), _joined(observed), late, shapes, (*notes, *varied))


class _Ring:
    """Fits the acts on one ring."""

    def __init__(self, observed: Observed, ring: Ring) -> None:
        self.observed = observed
        self.ring = ring
        self.acts: dict[tuple[int, int], list[Act]] = defaultdict(list)
        for act in ring.acts:
            self.acts[act.warp, act.site].append(act)

    def uses(self) -> dict[Key, BarrierUse] | Diagnostic:
        """By act and line, or why there are none."""
        arrivals = self.ring.arrivals()
        if len(arrivals) > 1:
            message = f"{self.ring.name}: completions of {min(arrivals)} to {max(arrivals)} arrivals"
            return self._note("barrier-arrivals-vary", message, self.ring.acts[0])
        found: dict[Key, BarrierUse] = {}
        for kind, sites in sites_by_kind(self.ring.acts).items():
            parts = self._parts(sites)
            if parts is None:
                message = f"{self.ring.name}: no regular sequence of executions that {kind}"
                return self._note("barrier-use-irregular", message, next(a for a in self.ring.acts if a.kind == kind))
            for group, patterns in parts:
                found |= dict(self._group(kind, group, patterns, max(arrivals, default=0)))
        return found

    def _parts(self, sites: Sequence[int]) -> list[tuple[tuple[int, ...], dict[int, Pattern]]] | None:
        """Instructions that count their executions together, with the pattern of each warp: all of them, or each.

        Together they are regular whatever the number of turns of each loop, alone only for the numbers that were seen.
        """
        together = self._patterns(sites)
        if together is not None:
            return [(tuple(sites), together)]
        lines: dict[int | None, list[int]] = defaultdict(list)
        for site in sites:
            lines[self.observed.line(site)].append(site)
        parts = [(tuple(group), self._patterns(group)) for group in lines.values()]
        return [(group, found) for group, found in parts if found is not None] if all(p for _g, p in parts) else None

    def _patterns(self, sites: Sequence[int]) -> dict[int, Pattern] | None:
        """By warp; None where one has no pattern, or the patterns differ in more than their offsets."""
        found: dict[int, Pattern] = {}
        for warp in sorted({act.warp for act in self.ring.acts if act.site in sites}):
            pattern = self._pattern(warp, [s for s in sites if (warp, s) in self.acts])
            if pattern is None:
                return None
            found[warp] = pattern
        real = {(p.order, p.jump) for p in found.values() if p.jump}
        return found if len(real or {None}) == 1 else None

    def _pattern(self, warp: int, sites: Sequence[int]) -> Pattern | None:
        executed = [one for one in self.observed.executions[warp] if one[0] in sites]
        places = {one: i for i, one in enumerate(executed)}
        known: dict[int, int] = {}
        bounds: dict[int, int] = {}
        for act in (a for s in sites for a in self.acts[warp, s]):
            place, number = places[act.site, act.turn], self.ring.number(act)
            if number is None:
                bounds[place] = self.ring.before(act) - 1
            elif known.setdefault(place, number) != number:
                return None
        return fit(known, bounds)

    def _group(
        self, kind: str, sites: Sequence[int], patterns: Mapping[int, Pattern], arrivals: int
    ) -> Iterator[tuple[Key, BarrierUse]]:
        pattern = next((p for p in patterns.values() if p.jump), next(iter(patterns.values())))
        label = f"{self.ring.name} {kind} {min(sites)}"
        for site in sites:
            line = self.observed.line(site)
            offsets = {warp: p.offset for warp, p in patterns.items() if (warp, site) in self.acts}
            if line is not None:
                yield (
                    (kind, line),
                    BarrierUse(self.ring.name, arrivals, pattern.offset, label, pattern.order, pattern.jump, offsets),
                )

    def _note(self, rule: str, message: str, act: Act) -> Diagnostic:
        remedy = "waits for it are taken to be over"
        return Diagnostic(rule, message, self.observed.sites[act.site].location, remedy)


def _idle(observed: Observed) -> frozenset[int]:
    """Nothing of a CTA that was not seen to its end."""
    acted = {observed.line(act.site) for act in observed.acts} | {observed.line(site) for site in observed.remote}
    lines = {observed.line(site) for site in observed.touching} - acted if not observed.stopped else ()
    return frozenset(line for line in lines if line is not None)


def _joined(observed: Observed) -> dict[int, frozenset[int]]:
    """Nothing of a CTA that was not seen to its end."""
    found: dict[int, frozenset[int]] = {}
    for site, warps in observed.joined.items() if not observed.stopped else ():
        line = observed.line(site)
        if line is not None:
            found[line] = found.get(line, frozenset()) | warps
    return found


def _cut_off(observed: Observed) -> Iterator[Diagnostic]:
    if observed.stopped:
        message = f"watching one CTA ended before it did, by `{observed.stopped}`, after {len(observed.acts)} acts"
        yield Diagnostic("observation-cut-off", message, None, "instructions after that have no barriers")


def _remote(observed: Observed) -> Iterator[Diagnostic]:
    for site in observed.remote[:1]:
        message = f"`{observed.sites[site].text}`: arrivals between the CTAs of a cluster take no time"
        yield Diagnostic("barrier-remote", message, observed.sites[site].location)


def _shapes(observed: Observed) -> tuple[dict[int, TensorShape], list[Diagnostic]]:
    shapes: dict[int, TensorShape] = {}
    notes = []
    for site, found in observed.shapes.items():
        line = observed.line(site)
        if line is not None:
            shapes[line] = found[-1]
        if len(found) > 1:
            message = f"`{observed.sites[site].text}` has {len(found)} shapes: the largest is taken for all"
            notes.append(Diagnostic("matrix-shape-varies", message, observed.sites[site].location))
    return shapes, notes
