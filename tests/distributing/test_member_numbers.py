"""Which of the members of a run a task of Spark or a node of Ray is."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from img2dataset.distributing import engine_settings
from img2dataset.distributing.member import MemberTask, member_task
from img2dataset.distributing.member_numbers import MemberNumber, numbers_folder, own_number
from img2dataset.distributing.ray_numbers import COUNTING_INTERVAL_S, NodeNumbers
from img2dataset.options import resolve
from img2dataset.settings import work_settings


@pytest.fixture
def task(tmp_path: Path) -> MemberTask:
    options = resolve({"url_list": "unused", "output_folder": str(tmp_path / "out")})
    (tmp_path / "out").mkdir()
    return member_task(engine_settings(options), work_settings(options))


def test_tasks_that_run_at_once_have_numbers_of_their_own(task: MemberTask) -> None:
    with contextlib.ExitStack() as stack:
        names = [f"spark-host-{number}" for number in range(4)]
        found = [stack.enter_context(own_number(task, name, 4)) for name in names]
        assert sorted(each.member for each in found) == [0, 1, 2, 3]
        assert {each.members for each in found} == {4}


def test_the_number_of_a_task_that_has_ended_is_given_again(task: MemberTask) -> None:
    with own_number(task, "spark-a", 2) as first:
        with own_number(task, "spark-b", 2) as second:
            assert {first.member, second.member} == {0, 1}
        with own_number(task, "spark-c", 2) as third:
            assert third == second


def test_more_tasks_than_there_was_room_for_reckon_with_more_members(task: MemberTask) -> None:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(own_number(task, f"spark-{number}", 2)) for number in range(4)]
        assert found[2:] == [MemberNumber(2, 3), MemberNumber(3, 4)]


def test_a_task_that_is_alone_asks_nobody(task: MemberTask) -> None:
    with own_number(task, "spark-a", 1) as number:
        assert number == MemberNumber(0, 1)
    write = task.work.write
    assert not (Path(write.output_folder) / numbers_folder(write.run_id)).exists()


@dataclass
class Node:
    node_id: str
    number: int | None = None
    members: int = 1
    has_work: bool = False


def numbers_of(nodes: list[Node]) -> list[tuple[int | None, int]]:
    return [(node.number, node.members) for node in nodes]


def test_nodes_of_the_beginning_are_counted_at_once() -> None:
    nodes = [Node("b"), Node("a")]
    assert not NodeNumbers().are_to_be_given(nodes, 0.0)
    assert numbers_of(nodes) == [(1, 2), (0, 2)]


def test_a_node_that_joins_takes_the_number_of_one_that_was_lost() -> None:
    numbers, nodes = NodeNumbers(), [Node("a"), Node("b"), Node("c")]
    numbers.are_to_be_given(nodes, 0.0)
    nodes = [nodes[0], nodes[2], Node("d")]
    nodes[0].has_work = True
    assert not numbers.are_to_be_given(nodes, 1.0)
    assert numbers_of(nodes) == [(0, 3), (2, 3), (1, 3)]


def test_where_no_number_is_free_all_end_their_work_before_they_are_counted_anew() -> None:
    numbers, nodes = NodeNumbers(), [Node("a"), Node("b")]
    numbers.are_to_be_given(nodes, 0.0)
    nodes.append(Node("c"))
    nodes[1].has_work = True
    assert not numbers.are_to_be_given(nodes, COUNTING_INTERVAL_S / 2)
    assert nodes[2].number is None
    assert numbers.are_to_be_given(nodes, COUNTING_INTERVAL_S)
    assert numbers_of(nodes) == [(0, 2), (1, 2), (None, 1)]
    nodes[1].has_work = False
    assert not numbers.are_to_be_given(nodes, COUNTING_INTERVAL_S + 1)
    assert numbers_of(nodes) == [(0, 3), (1, 3), (2, 3)]
