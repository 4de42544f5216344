"""[pure, but for Template.load_all's reads] Texts that people approved, for when no model may be asked.

One file for each kind of brief and language, templates/<kind>.<language>.md: a head with subject and preview, then the
body. `${name}` stands for the value of the brief's fact of that name; `{{name}}` is left for the system that sends.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from string import Template as Pattern
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..documents import fault_lines, front_matter
from .briefs import KINDS, Brief
from .drafts import Variant
from .languages import LANGUAGES, base_of

TEMPLATES = Path(__file__).with_name("templates")
FILE_NAME = re.compile(r"([a-z_]+)\.([a-z]{2,3})\.md")


class TemplatesError(Exception):
    """One line for each fault of a folder of templates, or for each fact that a brief does not hold."""


class _Head(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: Annotated[str, Field(min_length=1)]
    preview: Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class Template:
    """An approved text for briefs of a kind in a language."""

    kind: str
    language: str
    subject: str
    preview: str
    body: str

    @classmethod
    def load_all(cls, folder: Path = TEMPLATES) -> dict[tuple[str, str], Self]:
        """(Kind, language) -> template, for every kind and language. Raises TemplatesError with every fault."""
        found: dict[tuple[str, str], Self] = {}
        faults = []
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            parts = FILE_NAME.fullmatch(path.name)
            if parts is None or parts[1] not in KINDS or parts[2] not in LANGUAGES:
                faults.append(f"{path.name}: expected <kind>.<language>.md of a kind and a language that there are")
                continue
            try:
                values, body = front_matter(path.read_text(encoding="utf-8"))
                head = _Head.model_validate(values)
                found[parts[1], parts[2]] = cls(parts[1], parts[2], head.subject, head.preview, body)
                faults += [f"{path.name}: {fault}" for fault in found[parts[1], parts[2]].faults()]
            except ValidationError as error:
                faults += fault_lines(path.name, error, whole="the head")
            except (OSError, ValueError) as error:
                faults.append(f"{path.name}: {error}")
        wanted = [(kind, language) for kind in KINDS for language in LANGUAGES]
        faults += [f"{'.'.join(each)}: no template in {folder}" for each in wanted if each not in found and not faults]
        if faults:
            raise TemplatesError("\n".join(faults))
        return found

    def faults(self) -> list[str]:
        """Values it names that a brief of its kind may lack, and what reads like one and is none."""
        facts, texts = KINDS[self.kind].facts, {"subject": self.subject, "preview": self.preview, "body": self.body}
        found = [
            f"{name}: a $ that begins no ${{name}}; $$ is a dollar sign"
            for name, text in texts.items()
            if not Pattern(text).is_valid()
        ]
        named = {one for text in texts.values() for one in Pattern(text).get_identifiers()}
        return found + [f"${{{one}}}: expected one of {', '.join(facts)}" for one in sorted(named - set(facts))]


def template_for(brief: Brief, templates: dict[tuple[str, str], Template]) -> Template:
    """The one of its kind and language."""
    return templates[brief.kind, base_of(brief.language)]


def filled(template: Template, brief: Brief) -> Variant:
    """The template with the brief's facts. Raises TemplatesError where it names one that the brief does not hold."""
    facts = {fact.name: fact.value for fact in brief.facts}
    try:
        return Variant(
            subject=Pattern(template.subject).substitute(facts),
            preview=Pattern(template.preview).substitute(facts),
            body=Pattern(template.body).substitute(facts),
        )
    except (KeyError, ValueError) as error:
        raise TemplatesError(f"{template.kind}.{template.language}: {error}, of the facts {', '.join(facts)}") from None
