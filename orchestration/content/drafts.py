"""[pure] What a model is to answer, and what is stored and sent: drafts of a few variants."""

from pydantic import BaseModel, ConfigDict


class Variant(BaseModel):
    """One e-mail: the line of its subject, the line that mail programs show beside it, and the text, in plain text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str
    preview: str
    body: str

    @property
    def text(self) -> str:
        """All that is read of it: what near copies are told by."""
        return f"{self.subject}\n{self.preview}\n{self.body}"


class Draft(BaseModel):
    """The answer to one brief: as many variants as it asks for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variants: list[Variant]
