"""Parts of the HTML report: SVG charts, graph layout, source excerpt; `twill/report/html.py` puts them together."""
