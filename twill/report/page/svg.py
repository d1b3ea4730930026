"""SVG as text: one function that writes an element, and the scale and ticks of a time axis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

WIDTH = 1160
GUTTER = 150
MARGIN = 14
# Mean width of a character of the charts' 11 px label font.
CHARACTER = 6.3


def tag(element: str, content: str = "", **attributes: object) -> str:
    """An element; `content` is markup, attributes are escaped, `_` in their names stands for `-`, None leaves them out.

    >>> tag("rect", x=1.50, data_op='a"b', fill=None)
    '<rect x="1.5" data-op="a&quot;b"/>'
    >>> tag("text", "hi", class_="t")
    '<text class="t">hi</text>'
    """
    pairs = ((name.rstrip("_").replace("_", "-"), value) for name, value in attributes.items() if value is not None)
    text = "".join(f' {name}="{escape(_value(value))}"' for name, value in pairs)
    return f"<{element}{text}>{content}</{element}>" if content else f"<{element}{text}/>"


def text(x: float, y: float, content: str, class_: str = "label", **attributes: object) -> str:
    """A text element; the content is escaped."""
    return tag("text", escape(content) or " ", x=x, y=y, class_=class_, **attributes)


def picture(height: float, parts: Iterable[str], label: str, width: float = WIDTH, **attributes: object) -> str:
    """A whole drawing that scales to the width of the page; `label` is for screen readers."""
    box = f"0 0 {_value(width)} {_value(height)}"
    body = tag("title", escape(label)) + "".join(parts)
    return tag("svg", body, viewBox=box, role="img", aria_label=label, **attributes)


@dataclass(frozen=True)
class Axis:
    """Cycles 0 to `cycles` over the width right of the gutter."""

    cycles: int
    left: float = GUTTER
    right: float = WIDTH - MARGIN

    def x(self, cycle: float) -> float:
        """Horizontal position of a cycle."""
        return self.left + (self.right - self.left) * cycle / max(1, self.cycles)

    def ticks(self, wanted: int = 8) -> list[int]:
        """Round cycles from 0 on, and the end, no two of them too close to be labelled."""
        rough = max(1, self.cycles // wanted)
        power = 10 ** (len(str(rough)) - 1)
        step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
        room = 60 * self.cycles / (self.right - self.left)
        return [*(t for t in range(0, self.cycles, step) if self.cycles - t > room or not t), self.cycles]

    def grid(self, top: float, bottom: float) -> str:
        """Vertical lines with their cycles written above them."""
        lines = [tag("line", x1=self.x(t), x2=self.x(t), y1=top, y2=bottom, class_="grid") for t in self.ticks()]
        marks = [text(self.x(t), top - 6, f"{t:,}", "tick", text_anchor=self._anchor(t)) for t in self.ticks()]
        return "".join(lines + marks)

    def _anchor(self, cycle: int) -> str:
        return "end" if cycle == self.cycles else "middle"


def fitted(label: str, width: float) -> str:
    """As much of a label as fits, with an ellipsis; empty where less than four letters do.

    >>> fitted("accumulate", 100), fitted("accumulate", 48), fitted("accumulate", 30)
    ('accumulate', 'accum…', '')
    """
    room = int((width - 8) / CHARACTER)
    if room >= len(label):
        return label
    return f"{label[: room - 1]}…" if room >= 5 else ""


def _value(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
