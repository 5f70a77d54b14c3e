"""An SVG from lines, boxes and text. Coordinates are pixels from the upper left corner."""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

Point = tuple[float, float]

# Okabe and Ito (2008): told apart by people with any of the usual colour deficiencies.
BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
INK, GRAY, PALE = "#1a1a1a", "#6b6b6b", "#e2e2e2"
SIZE = 12
"""Of text, in pixels."""
_ARROW_LENGTH, _ARROW_HALF_WIDTH = 8.0, 3.5


class Drawing:
    """Shapes in the order in which they are drawn, on white; `svg` is the whole picture."""

    def __init__(self, title: str, width: float, height: float) -> None:
        self.width = width
        self.height = height
        self._title = title
        self._elements: list[str] = []

    def line(self, *points: Point, stroke: str = INK, width: float = 1, dash: str = "") -> None:
        """Straight from point to point."""
        path = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
        self._add("polyline", points=path, fill="none", stroke=stroke, stroke_width=width, stroke_dasharray=dash)

    def arrow(self, *points: Point, stroke: str = INK, width: float = 1.5, dash: str = "") -> None:
        """A line with a head at its last point."""
        (x0, y0), (x, y) = points[-2:]
        length = math.hypot(x - x0, y - y0)
        dx, dy = (x - x0) / length, (y - y0) / length
        back_x, back_y = x - _ARROW_LENGTH * dx, y - _ARROW_LENGTH * dy
        self.line(*points[:-1], (back_x, back_y), stroke=stroke, width=width, dash=dash)
        side_x, side_y = -dy * _ARROW_HALF_WIDTH, dx * _ARROW_HALF_WIDTH
        self.polygon([(x, y), (back_x + side_x, back_y + side_y), (back_x - side_x, back_y - side_y)], stroke)

    def polygon(self, corners: Sequence[Point], fill: str, stroke: str = "none") -> None:
        path = " ".join(f"{_number(x)},{_number(y)}" for x, y in corners)
        self._add("polygon", points=path, fill=fill, stroke=stroke)

    def box(
        self, x: float, y: float, width: float, height: float, fill: str, stroke: str = "none", radius: float = 0,
        crisp: bool = False,
    ) -> None:  # fmt: skip
        """crisp: edges on whole pixels, so that boxes side by side show no seam."""
        rendering = "crispEdges" if crisp else ""
        self._add(
            "rect", x=x, y=y, width=width, height=height, fill=fill, stroke=stroke if stroke != "none" else "",
            rx=radius or "", shape_rendering=rendering,
        )  # fmt: skip

    def circle(self, center: Point, radius: float, fill: str, stroke: str = "none", width: float = 1) -> None:
        x, y = center
        self._add("circle", cx=x, cy=y, r=radius, fill=fill, stroke=stroke, stroke_width=width)

    def text(
        self, at: Point, words: str, size: float = SIZE, anchor: str = "start", fill: str = INK, bold: bool = False,
        turned: bool = False,
    ) -> None:  # fmt: skip
        """One line; `at` is on its base line. anchor: start, middle or end. turned: read from below to above."""
        x, y = at
        turn = f"rotate(-90 {_number(x)} {_number(y)})" if turned else ""
        weight = "bold" if bold else ""
        self._add(
            "text", words, x=x, y=y, font_size=size, text_anchor=anchor, fill=fill, font_weight=weight, transform=turn
        )

    def svg(self) -> str:
        size = f'width="{_number(self.width)}" height="{_number(self.height)}"'
        view = f'viewBox="0 0 {_number(self.width)} {_number(self.height)}"'
        family = 'font-family="DejaVu Sans, Verdana, Helvetica, Arial, sans-serif"'
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" {size} {view} {family} role="img">',
                f"<title>{escape(self._title)}</title>",
                '<rect width="100%" height="100%" fill="#ffffff"/>',
                *self._elements,
                "</svg>\n",
            ]
        )

    def _add(self, element: str, words: str = "", **attributes: str | float) -> None:
        written = "".join(
            f" {name.replace('_', '-')}={quoteattr(value if isinstance(value, str) else _number(value))}"
            for name, value in attributes.items()
            if value != ""
        )
        self._elements.append(f"<{element}{written}>{escape(words)}</{element}>" if words else f"<{element}{written}/>")


def shortened(words: str, characters: int) -> str:
    """The words, cut and marked where they are longer."""
    return words if len(words) <= characters else words[: characters - 1] + "…"


def _number(value: float) -> str:
    """With two decimals at most, and never −0."""
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")
