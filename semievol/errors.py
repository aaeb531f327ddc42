"""The one exception that reaches a person.

Every other exception is a fault of the software: it is logged in full, and the person is shown where the log is.
"""


class UserError(Exception):
    """A mistake or a limit that the user can do something about.

    what: what was expected and what was found, with the offending value.
    where: the file, row, column, setting or record that it concerns; empty if it is clear.
    remedy: what to do now, as an instruction.
    """

    def __init__(self, what: str, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where, remedy)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        """One line: ``where: what remedy``."""
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.what} {self.remedy}".strip()

    def as_dict(self) -> dict[str, str]:
        return {"what": self.what, "where": self.where, "remedy": self.remedy}
