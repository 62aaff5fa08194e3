from dataclasses import dataclass, field

from collector.door import HEAD_S, IDLE_S, Door


@dataclass(eq=False)
class Guest:
    aborted: bool = False

    def abort(self) -> None:
        self.aborted = True


@dataclass
class Hall:
    """A door with a clock of ours."""

    most: int = 3
    now: float = 0.0
    guests: list[Guest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.door = Door(self.most, lambda: self.now)

    def enter(self) -> Guest:
        guest = Guest()
        self.door.enter(guest)
        self.guests.append(guest)
        return guest

    def gone(self) -> list[bool]:
        return [guest.aborted for guest in self.guests]


def test_who_sends_no_head_in_time_is_sent_away() -> None:
    hall = Hall()
    hall.enter()
    hall.now = HEAD_S - 0.1
    hall.enter()
    hall.door.look_round()
    assert hall.gone() == [False, False]
    hall.now = HEAD_S
    hall.door.look_round()
    assert hall.gone() == [True, False]
    assert len(hall.door) == 1


def test_who_is_being_answered_is_not_sent_away() -> None:
    hall = Hall()
    guest = hall.enter()
    hall.door.answer(guest)
    hall.now = 1_000.0
    hall.door.look_round()
    hall.door.empty()
    assert hall.gone() == [False]
    hall.door.await_from(guest, IDLE_S)
    hall.now += IDLE_S
    hall.door.look_round()
    assert hall.gone() == [True]


def test_when_it_is_full_who_was_waited_for_the_longest_makes_room() -> None:
    hall = Hall()
    first, second, third = hall.enter(), hall.enter(), hall.enter()
    hall.door.answer(first)
    hall.door.await_from(second, IDLE_S)  # its turn anew: it began to be waited for after the third
    hall.enter()
    assert hall.gone() == [False, False, True, False]
    assert third.aborted
    assert len(hall.door) == 3


def test_when_all_are_being_answered_the_new_one_has_to_go() -> None:
    hall = Hall(most=1)
    hall.door.answer(hall.enter())
    hall.enter()
    assert hall.gone() == [False, True]
    assert len(hall.door) == 1


def test_one_that_has_left_is_waited_for_no_more() -> None:
    hall = Hall()
    guest = hall.enter()
    hall.door.leave(guest)
    hall.door.await_from(guest, 0.0)
    hall.door.look_round()
    assert hall.gone() == [False]
    assert len(hall.door) == 0


def test_at_the_end_all_who_are_waited_for_go() -> None:
    hall = Hall()
    hall.enter()
    hall.enter()
    hall.door.empty()
    assert hall.gone() == [True, True]
