"""The model card for people: MODEL.md, written from model.json, nothing in it filled in by hand."""

from __future__ import annotations

from typing import Any

import yaml

CARD_TEXT_NAME = "MODEL.md"
_INTRODUCTION = (
    "Written when the training ended, from what it was made of; nothing is filled in by hand. "
    "`evaluation.txt`, where it lies beside this file, says how it was judged."
)


def card_text(card: dict[str, Any]) -> str:
    """Return a card as Markdown: single values as a table, the rest as sections of YAML."""
    single = {name: value for name, value in card.items() if not isinstance(value, dict | list)}
    lines = [f"# {single.pop('name', 'model')}", "", _INTRODUCTION, "", "| | |", "|---|---|"]
    lines += [f"| {_words(name)} | {_shown(value)} |" for name, value in sorted(single.items())]
    for name in sorted(card.keys() - single.keys() - {"name"}):
        body = yaml.safe_dump(card[name], sort_keys=False, allow_unicode=True, width=100)
        lines += ["", f"## {_words(name)}", "", "```yaml", body.rstrip(), "```"]
    return "\n".join(lines) + "\n"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _shown(value: Any) -> str:
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
