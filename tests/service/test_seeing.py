"""The specification of what is kept of customers looking at their pages."""

from grid.errors import Unreachable
from grid.people import Principal, Role
from service.seeing import Seeing
from store.wishing import SeenRow

MINE = Principal(Role.CUSTOMER, "C-1", None, 0)
ANN = Principal(Role.DISPATCHER, "ann", None, 0)


class Keeping:
    """Keeps, or is away."""

    def __init__(self) -> None:
        self.kept: list[SeenRow] = []
        self.away = False

    async def seen(self, some: list[SeenRow]) -> None:
        if self.away:
            raise Unreachable("away")
        self.kept += some


async def test_a_customers_last_word_is_kept_and_a_dispatchers_is_nobodys_business() -> None:
    keeping = Keeping()
    seeing = Seeing(keeping, lambda: 0)  # type: ignore[arg-type]
    for who, offset in ((MINE, 3), (MINE, 7), (MINE, 5), (ANN, 9)):
        seeing.note(who, "customer:C-1", offset)
    await seeing.keep()
    await seeing.keep()
    assert keeping.kept == [SeenRow("C-1", 7, "1970-01-01T00:00:00.000Z")]


async def test_while_the_database_is_away_it_waits() -> None:
    keeping = Keeping()
    seeing = Seeing(keeping, lambda: 0)  # type: ignore[arg-type]
    keeping.away = True
    seeing.note(MINE, "customer:C-1", 3)
    await seeing.keep()
    seeing.note(MINE, "customer:C-1", 4)
    keeping.away = False
    await seeing.keep()
    assert [row.offset for row in keeping.kept] == [4]
